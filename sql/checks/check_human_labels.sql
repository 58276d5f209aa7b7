-- view:    check_human_labels
-- grain:   one row per human label of an image that the run does not hold
-- key:     dataset, run_id, layer, unit, labeller, example_id
-- reads:   human_labels, stg_run_examples
-- purpose: Human labels of examples that are not in their run, or are repeated images.
--
-- column      type     unit       meaning
-- dataset     varchar             name of the dataset
-- run_id      varchar             the run
-- layer       varchar             module path, point and pooling
-- unit        integer  index 0..  position of the neuron
-- labeller    varchar             who labelled
-- example_id  bigint   id         the example
select
    dataset, run_id, layer, unit, labeller, example_id,
from human_labels
left join stg_run_examples using (dataset, run_id, example_id)
where coalesce(is_duplicate, true);
