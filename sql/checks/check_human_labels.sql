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
    human_labels.dataset,
    human_labels.run_id,
    human_labels.layer,
    human_labels.unit,
    human_labels.labeller,
    human_labels.example_id,
from human_labels
left join stg_run_examples
    on
        human_labels.dataset = stg_run_examples.dataset
        and human_labels.run_id = stg_run_examples.run_id
        and human_labels.example_id = stg_run_examples.example_id
where coalesce(stg_run_examples.is_duplicate, true);
