-- view:    neuron_clarity
-- grain:   one row per neuron with two top examples or more
-- key:     dataset, run_id, layer, unit
-- reads:   raw_neuron_clarity, top_example_groups, stg_runs
-- purpose: Do a neuron's top examples look alike to the model, or fall into groups?
-- cite:    Kaufman & Rousseeuw 1990, doi:10.1002/9780470316801
--
-- neurons build computes it (pipeline/evidence/clarity.py); before that it has no rows.
-- clarity is the mean cosine of two of the top examples' image embeddings (the first
-- label_top_k, those with an activation of 0 left out). It is in the model's own eyes:
-- the nearer a layer is to the embedding, the clearer its neurons look. Compare it with
-- baseline_clarity. polysemanticity is the chance that two of the top examples come
-- from different groups (Gini-Simpson): 0 for one group, at most 0.8 for five equal
-- ones. Groups are kinds of image, not of concept: drawings and words of one concept
-- may be two groups.
--
-- column           type     unit        meaning
-- dataset, model_id, run_id, layer, unit, top_size, clarity, baseline_clarity
-- clarity_sd       double   SD          clarity above baseline, in SD of that of 200
--                                       random sets of as many images
-- group_count      integer  count 1..5  groups among the top examples
-- silhouette       double   -1..1       how well parted the best split is, taken or not
-- polysemanticity  double   0..0.8      chance that two are from different groups
with

sizes as (
    select
        dataset, run_id, layer, unit, group_rank,
        count(*) as group_size,
        sum(silhouette) as silhouette_sum,
    from top_example_groups
    group by all
),

splits as (
    select
        dataset, run_id, layer, unit,
        count(*)::integer as group_count,
        sum(silhouette_sum) / sum(group_size) as silhouette,
        1.0::double - sum((group_size::double) ** 2) / (sum(group_size)::double) ** 2
            as polysemanticity,
    from sizes
    group by all
)

select
    dataset, model_id, run_id, layer, unit, top_size, clarity, baseline_clarity,
    clarity_sd, group_count, silhouette, polysemanticity,
from raw_neuron_clarity
inner join stg_runs using (dataset, run_id)
inner join splits using (dataset, run_id, layer, unit);
