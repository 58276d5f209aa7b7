-- view:    neuron_concepts
-- grain:   one row per (run, layer, unit, concept, category, origin) that is tested
-- key:     dataset, run_id, layer, unit, concept, category, origin
-- reads:   concept_ranks, neuron_enrichments, raw_soft_wpmi, neuron_stats, stg_layers
-- purpose: How much each neuron tells of each concept, by three independent methods.
-- cite:    Oikarinen & Weng 2023, arXiv:2204.10965, section 3 (soft-WPMI)
--
-- Three methods: the AUROC over all images, with its Mann-Whitney z; soft-WPMI, from
-- CLIP's own similarity of the neuron's top images to the concept's prompts (null
-- without neurons similarity); enrichment among the neuron's top images (0 of them: no
-- row in neuron_enrichments). Figures are of the testing half; those of the screening
-- half, which concepts are chosen by, say so. Inhibition is direction negative: images
-- that show the concept excite the neuron less. q is Benjamini and Hochberg's over all
-- pairs of the run and origin, from the two-sided p of z. A layer of a text tower read
-- the very texts that tell the concept (is_circular): such pairs say little about the
-- model, and are corrected among themselves.
--
-- column                    type     unit       meaning
-- dataset                   varchar             name of the dataset
-- model_id                  varchar             architecture:pretrained
-- run_id                    varchar             the run
-- layer                     varchar             module path, point and pooling
-- unit                      integer  index 0..  position of the neuron in its layer
-- concept                   varchar             name of the concept
-- category                  varchar             family that it belongs to
-- origin                    varchar             texts, stimulus or similarity
-- is_circular               boolean             told by the text that the layer read
-- positive_count            bigint   count      images that show it
-- other_count               bigint   count      images that do not
-- auroc                     double   0..1       P(shown > not shown), ties count half
-- direction                 varchar             positive (excites) or negative
-- z                         double   SD         Mann-Whitney; null if all are tied
-- p_value                   double   0..1       of z, two-sided; 1 if all are tied
-- log10_p                   double   log10      its logarithm, which does not underflow
-- q_value                   double   0..1       false discovery rate where it is found
-- mean_difference_sd        double   SD         mean where shown - mean elsewhere
-- soft_wpmi                 double   nats       log P(concept | top) - log P(concept)
-- top_size                  bigint   count      top examples
-- top_count                 bigint   count      of these, examples that show it
-- lift                      double   ratio      how much more frequent it is there
-- top_log10_p               double   log10      hypergeometric p of that
-- screening_positive_count  bigint   count      screening: images that show it
-- screening_auroc           double   0..1       screening: as auroc
-- screening_z               double   SD         screening: as z
-- screening_soft_wpmi       double   nats       screening: as soft_wpmi
-- screening_top_count       bigint   count      screening: as top_count
-- screening_top_log10_p     double   log10      screening: as top_log10_p
with

tested as (
    select
        concept_ranks.dataset,
        concept_ranks.model_id,
        concept_ranks.run_id,
        concept_ranks.layer,
        concept_ranks.unit,
        concept_ranks.concept,
        concept_ranks.category,
        concept_ranks.origin,
        is_circular(stg_layers.tower, concept_ranks.origin) as is_circular,
        concept_ranks.positive_count,
        concept_ranks.other_count,
        concept_ranks.auroc,
        concept_ranks.z,
        least(
            0.0,
            normal_log_tail(abs(coalesce(concept_ranks.z, 0.0))) + ln(2)
        ) as log_p,
        concept_ranks.mean_difference,
        concept_ranks.screening_positive_count,
        concept_ranks.screening_auroc,
        concept_ranks.screening_z,
    from concept_ranks
    inner join stg_layers
        on
            concept_ranks.dataset = stg_layers.dataset
            and concept_ranks.run_id = stg_layers.run_id
            and concept_ranks.layer = stg_layers.layer
),

ranked as (
    select
        tested.dataset,
        tested.model_id,
        tested.run_id,
        tested.layer,
        tested.unit,
        tested.concept,
        tested.category,
        tested.origin,
        tested.is_circular,
        tested.positive_count,
        tested.other_count,
        tested.auroc,
        tested.z,
        tested.log_p,
        tested.mean_difference,
        tested.screening_positive_count,
        tested.screening_auroc,
        tested.screening_z,
        exp(tested.log_p) * count(*) over all_pairs / count(*) over smaller as raw_q,
    from tested
    window
        all_pairs as (
            partition by
                tested.dataset, tested.run_id, tested.origin, tested.is_circular
        ),
        smaller as (
            partition by
                tested.dataset, tested.run_id, tested.origin, tested.is_circular
            order by tested.log_p asc
        )
),

corrected as (
    select
        ranked.dataset,
        ranked.model_id,
        ranked.run_id,
        ranked.layer,
        ranked.unit,
        ranked.concept,
        ranked.category,
        ranked.origin,
        ranked.is_circular,
        ranked.positive_count,
        ranked.other_count,
        ranked.auroc,
        ranked.z,
        ranked.log_p,
        ranked.mean_difference,
        ranked.screening_positive_count,
        ranked.screening_auroc,
        ranked.screening_z,
        least(1.0, min(ranked.raw_q) over larger) as q_value,
    from ranked
    window
        larger as (
            partition by
                ranked.dataset, ranked.run_id, ranked.origin, ranked.is_circular
            order by ranked.log_p desc
        )
)

select
    corrected.dataset,
    corrected.model_id,
    corrected.run_id,
    corrected.layer,
    corrected.unit,
    corrected.concept,
    corrected.category,
    corrected.origin,
    corrected.is_circular,
    corrected.positive_count,
    corrected.other_count,
    corrected.auroc,
    case when corrected.auroc >= 0.5 then 'positive' else 'negative' end as direction,
    corrected.z,
    exp(corrected.log_p) as p_value,
    corrected.log_p / ln(10) as log10_p,
    corrected.q_value,
    corrected.mean_difference / nullif(neuron_stats.sd, 0) as mean_difference_sd,
    raw_soft_wpmi.testing::double as soft_wpmi,
    neuron_enrichments.top_size,
    coalesce(neuron_enrichments.top_count, 0) as top_count,
    neuron_enrichments.lift,
    coalesce(neuron_enrichments.log10_p, 0.0) as top_log10_p,
    corrected.screening_positive_count,
    corrected.screening_auroc,
    corrected.screening_z,
    raw_soft_wpmi.screening::double as screening_soft_wpmi,
    coalesce(neuron_enrichments.screening_top_count, 0) as screening_top_count,
    coalesce(neuron_enrichments.screening_log10_p, 0.0) as screening_top_log10_p,
from corrected
inner join neuron_stats
    on
        corrected.dataset = neuron_stats.dataset
        and corrected.run_id = neuron_stats.run_id
        and corrected.layer = neuron_stats.layer
        and corrected.unit = neuron_stats.unit
left join neuron_enrichments
    on
        corrected.dataset = neuron_enrichments.dataset
        and corrected.run_id = neuron_enrichments.run_id
        and corrected.layer = neuron_enrichments.layer
        and corrected.unit = neuron_enrichments.unit
        and corrected.concept = neuron_enrichments.concept
        and corrected.category = neuron_enrichments.category
        and corrected.origin = neuron_enrichments.origin
        and neuron_enrichments.polarity = 'positive'
left join raw_soft_wpmi
    on
        corrected.dataset = raw_soft_wpmi.dataset
        and corrected.run_id = raw_soft_wpmi.run_id
        and corrected.layer = raw_soft_wpmi.layer
        and corrected.unit = raw_soft_wpmi.unit
        and corrected.concept = raw_soft_wpmi.concept;
