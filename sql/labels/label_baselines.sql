-- view:    label_baselines
-- grain:   one row per run
-- key:     dataset, run_id
-- reads:   neuron_labels, neuron_concepts, raw_label_nulls, settings
-- purpose: What a run's labels are worth, beside permuted concepts and one constant.
--
-- The permuted figures are of the same rule after every image handed its concepts to
-- another image of its half (label_null_repeats times, seeded); null before neurons
-- build. There every label is false, so next to none is what they should show: where
-- all are false, Benjamini and Hochberg's procedure labels any neuron at all in at most
-- the share label_max_q of the permutations (permuted_any_frac; it takes some twenty to
-- see that). Of the labels that stand, chance_count are to be expected by chance: the
-- share label_max_q of them, or as many as the permutations show, if that is more. The
-- constant label is the one concept that, given to every labelled neuron, has the best
-- mean AUROC on the screening half; its score is on the testing half, as theirs is.
-- Both are null where no AUROC was tested.
--
-- column                 type     unit   meaning
-- dataset, model_id, run_id
-- neuron_count           bigint   count  neurons of all layers
-- labelled_count         bigint   count  of these, labelled
-- circular_count         bigint   count  not labelled: told by the texts they read
-- labelled_frac          double   0..1   share of all neurons that are labelled
-- permuted_repeat_count  bigint   count  times that the concepts were permuted
-- permuted_count         double   count  neurons labelled then, mean over the repeats
-- permuted_max_count     bigint   count  and the most of any repeat
-- permuted_frac          double   0..1   share of neurons labelled then, mean
-- permuted_any_frac      double   0..1   share of the repeats that label any neuron
-- max_q                  double   0..1   what permuted_any_frac should not exceed
-- chance_count           double   count  labels to expect by chance, of labelled_count
-- label_score            double   0..1   mean AUROC of the labels
-- constant_concept       varchar         the best constant label
-- constant_category      varchar         its family
-- constant_score         double   0..1   its mean AUROC over the same neurons
with

labels as (
    select
        dataset, model_id, run_id,
        count(*) as neuron_count,
        count(*) filter (where is_labelled) as labelled_count,
        count(*) filter (where is_circular) as circular_count,
        avg(score) as label_score,
    from neuron_labels
    group by all
),

nulls as (
    select
        dataset, run_id,
        count(*) as repeat_count,
        avg(labelled_count) as mean_count,
        max(labelled_count) as max_count,
        avg((labelled_count > 0)::integer) as any_frac,
    from raw_label_nulls
    group by all
),

labelled as (
    select dataset, run_id, layer, unit,
    from neuron_labels
    where is_labelled
),

constants as (
    select
        dataset, run_id, concept, category, origin,
        avg(screening_auroc) as screening_score,
        avg(auroc) as score,
    from neuron_concepts
    inner join labelled using (dataset, run_id, layer, unit)
    cross join settings
    where list_contains(label_origins, origin) and auroc is not null
    group by all
),

best_constants as (
    select *
    from constants
    qualify
        row_number() over (
            partition by dataset, run_id
            order by screening_score desc, concept asc, category asc, origin asc
        ) = 1
)

select
    dataset, model_id, run_id, neuron_count, labelled_count, circular_count,
    labelled_count / neuron_count as labelled_frac,
    coalesce(repeat_count, 0) as permuted_repeat_count,
    mean_count as permuted_count,
    max_count as permuted_max_count,
    mean_count / neuron_count as permuted_frac,
    any_frac as permuted_any_frac,
    label_max_q as max_q,
    greatest(
        label_max_q * labelled_count, least(coalesce(mean_count, 0), labelled_count)
    ) as chance_count,
    label_score,
    concept as constant_concept,
    category as constant_category,
    score as constant_score,
from labels
cross join settings
left join nulls using (dataset, run_id)
left join best_constants using (dataset, run_id);
