-- view:    class_predictions
-- grain:   one row per example of a run and class set
-- key:     dataset, run_id, class_set, example_id
-- reads:   class_scores
-- purpose: The class that each image is given, and the second choice.
--
-- column                 type     unit  meaning
-- dataset, model_id, run_id, class_set, example_id
-- predicted_class        varchar        class of the largest logit; ties by name
-- predicted_probability  float    0..1  its probability
-- runner_up_class        varchar        the second
-- runner_up_probability  float    0..1  its probability
with

ranked as (
    select
        *,
        row_number() over (
            partition by dataset, run_id, class_set, example_id
            order by logit desc, class_name asc
        ) as class_rank,
    from class_scores
)

select
    dataset, model_id, run_id, class_set, example_id,
    max(class_name) filter (where class_rank = 1) as predicted_class,
    max(probability) filter (where class_rank = 1) as predicted_probability,
    max(class_name) filter (where class_rank = 2) as runner_up_class,
    max(probability) filter (where class_rank = 2) as runner_up_probability,
from ranked
where class_rank <= 2
group by all;
