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
--
-- column                 type     unit    meaning
-- dataset                varchar          name of the dataset
-- model_id               varchar          architecture:pretrained
-- run_id                 varchar          the run
-- neuron_count           bigint   count   neurons of all layers
-- labelled_count         bigint   count   of these, labelled
-- circular_count         bigint   count   not labelled: told by the texts they read
-- labelled_frac          double   0..1    share of all neurons that are labelled
-- permuted_repeat_count  bigint   count   times that the concepts were permuted
-- permuted_count         double   count   neurons labelled then, mean over the repeats
-- permuted_max_count     bigint   count   and the most of any repeat
-- permuted_frac          double   0..1    share of neurons labelled then, mean
-- permuted_any_frac      double   0..1    share of the repeats that label any neuron
-- max_q                  double   0..1    what permuted_any_frac should not exceed
-- chance_count           double   count   labels to expect by chance, of labelled_count
-- label_score            double   0..1    mean AUROC of the labels
-- constant_concept       varchar          the best constant label
-- constant_category      varchar          its family
-- constant_score         double   0..1    its mean AUROC over the same neurons
with

labels as (
    select
        neuron_labels.dataset,
        neuron_labels.model_id,
        neuron_labels.run_id,
        count(*) as neuron_count,
        count(*) filter (where neuron_labels.is_labelled) as labelled_count,
        count(*) filter (where neuron_labels.is_circular) as circular_count,
        avg(neuron_labels.score) as label_score,
    from neuron_labels
    group by neuron_labels.dataset, neuron_labels.model_id, neuron_labels.run_id
),

nulls as (
    select
        raw_label_nulls.dataset,
        raw_label_nulls.run_id,
        count(*) as repeat_count,
        avg(raw_label_nulls.labelled_count) as mean_count,
        max(raw_label_nulls.labelled_count) as max_count,
        avg((raw_label_nulls.labelled_count > 0)::integer) as any_frac,
    from raw_label_nulls
    group by raw_label_nulls.dataset, raw_label_nulls.run_id
),

constants as (
    select
        neuron_concepts.dataset,
        neuron_concepts.run_id,
        neuron_concepts.concept,
        neuron_concepts.category,
        neuron_concepts.origin,
        avg(neuron_concepts.screening_auroc) as screening_score,
        avg(neuron_concepts.auroc) as score,
    from neuron_concepts
    inner join neuron_labels
        on
            neuron_concepts.dataset = neuron_labels.dataset
            and neuron_concepts.run_id = neuron_labels.run_id
            and neuron_concepts.layer = neuron_labels.layer
            and neuron_concepts.unit = neuron_labels.unit
    cross join settings
    where
        neuron_labels.is_labelled
        and list_contains(settings.label_origins, neuron_concepts.origin)
    group by
        neuron_concepts.dataset,
        neuron_concepts.run_id,
        neuron_concepts.concept,
        neuron_concepts.category,
        neuron_concepts.origin
),

best_constants as (
    select
        constants.dataset,
        constants.run_id,
        constants.concept,
        constants.category,
        constants.score,
        row_number() over (
            partition by constants.dataset, constants.run_id
            order by
                constants.screening_score desc,
                constants.concept asc,
                constants.category asc,
                constants.origin asc
        ) as place,
    from constants
)

select
    labels.dataset,
    labels.model_id,
    labels.run_id,
    labels.neuron_count,
    labels.labelled_count,
    labels.circular_count,
    labels.labelled_count / labels.neuron_count as labelled_frac,
    coalesce(nulls.repeat_count, 0) as permuted_repeat_count,
    nulls.mean_count as permuted_count,
    nulls.max_count as permuted_max_count,
    nulls.mean_count / labels.neuron_count as permuted_frac,
    nulls.any_frac as permuted_any_frac,
    settings.label_max_q as max_q,
    greatest(
        settings.label_max_q * labels.labelled_count,
        least(coalesce(nulls.mean_count, 0), labels.labelled_count)
    ) as chance_count,
    labels.label_score,
    best_constants.concept as constant_concept,
    best_constants.category as constant_category,
    best_constants.score as constant_score,
from labels
cross join settings
left join nulls
    on
        labels.dataset = nulls.dataset
        and labels.run_id = nulls.run_id
left join best_constants
    on
        labels.dataset = best_constants.dataset
        and labels.run_id = best_constants.run_id
        and best_constants.place = 1;
