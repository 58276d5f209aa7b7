-- view:    class_predictions
-- grain:   one row per example of a run and class set
-- key:     dataset, run_id, class_set, example_id
-- reads:   class_scores
-- purpose: The class that each image is given, and the second choice.
--
-- column                 type     unit   meaning
-- dataset                varchar         name of the dataset
-- model_id               varchar         architecture:pretrained
-- run_id                 varchar         the run
-- class_set              varchar         the classes that it was chosen from
-- example_id             bigint   id     the example
-- predicted_class        varchar         class of the largest logit; ties by name
-- predicted_probability  float    0..1   its probability
-- runner_up_class        varchar         the second
-- runner_up_probability  float    0..1   its probability
with

ranked as (
    select
        class_scores.dataset,
        class_scores.model_id,
        class_scores.run_id,
        class_scores.class_set,
        class_scores.example_id,
        class_scores.class_name,
        class_scores.probability,
        row_number() over (
            partition by
                class_scores.dataset,
                class_scores.run_id,
                class_scores.class_set,
                class_scores.example_id
            order by class_scores.logit desc, class_scores.class_name
        ) as class_rank,
    from class_scores
)

select
    ranked.dataset,
    ranked.model_id,
    ranked.run_id,
    ranked.class_set,
    ranked.example_id,
    max(ranked.class_name) filter (where ranked.class_rank = 1) as predicted_class,
    max(ranked.probability) filter (
        where ranked.class_rank = 1
    ) as predicted_probability,
    max(ranked.class_name) filter (where ranked.class_rank = 2) as runner_up_class,
    max(ranked.probability) filter (
        where ranked.class_rank = 2
    ) as runner_up_probability,
from ranked
where ranked.class_rank <= 2
group by all;
