-- view:    top_example_groups
-- grain:   one row per neuron and top example
-- key:     dataset, run_id, layer, unit, example_id
-- reads:   raw_top_example_groups, top_examples
-- purpose: The top examples of each neuron, parted into groups that look alike.
-- cite:    Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7
--
-- neurons build computes it (pipeline/evidence/clarity.py); before that it has no rows.
-- The first label_top_k examples with an activation other than 0. Ward's tree over the
-- model's own image embeddings is cut into two to five groups of three or more; the cut
-- with the largest mean silhouette of cosine distances is taken if that mean is above
-- 0.25 (Kaufman & Rousseeuw 1990: below it, no substantial structure); else there is
-- one group. Five groups may be more.
--
-- column        type    unit      meaning
-- dataset, model_id, run_id, layer, unit, example_id
-- example_rank  bigint  rank 1..  1 = strongest
-- activation, group_rank, silhouette
select
    dataset, model_id, run_id, layer, unit, example_id, example_rank, activation,
    group_rank, silhouette,
from raw_top_example_groups
inner join top_examples using (dataset, run_id, layer, unit, example_id)
where polarity = 'positive';
