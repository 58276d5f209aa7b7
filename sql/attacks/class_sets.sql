-- view:    class_sets
-- grain:   one row per class set of a run
-- key:     dataset, run_id, class_set
-- reads:   raw_class_sets, stg_runs, stg_run_examples
-- purpose: What images of a run were classified into, and with which prompts.
--
-- column              type         unit   meaning
-- dataset, model_id, run_id
-- class_set           varchar             name of the class set
-- class_count         bigint       count  classes; chance is one in so many
-- classes             varchar[]           the classes
-- templates           varchar[]           prompts; their embeddings were averaged
-- logit_scale         double              what cosines were multiplied with
-- example_count       bigint       count  examples that were classified
-- unclassified_count  bigint       count  examples that the run has got since
-- created_at          timestamptz  UTC    when it was classified
with

counts as (
    select
        dataset, run_id,
        count(*) as run_example_count,
    from stg_run_examples
    semi join raw_class_sets using (dataset, run_id)
    group by all
)

select
    dataset, model_id, run_id, class_set,
    len(classes)::bigint as class_count,
    classes, templates, logit_scale, example_count,
    coalesce(run_example_count, 0) - example_count as unclassified_count,
    raw_class_sets.created_at,
from raw_class_sets
inner join stg_runs using (dataset, run_id)
left join counts using (dataset, run_id);
