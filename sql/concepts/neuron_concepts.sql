-- view:    neuron_concepts
-- grain:   one row per (run, layer, unit, concept, category, origin) that is tested
-- key:     dataset, run_id, layer, unit, concept, category, origin
-- reads:   concept_ranks, neuron_enrichments, raw_soft_wpmi, neuron_stats, stg_layers,
--          tested_concepts
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
-- Layers that keep no activations or only a share (layers.is_cut) are tested
-- by enrichment alone: their rows are the pairs in neuron_enrichments, and what needs
-- ranks or all activations is null: not tested.
--
-- column                    type     unit   meaning
-- dataset, model_id, run_id, layer, unit, concept, category, origin
-- is_circular               boolean         told by the text that the layer read
-- positive_count, other_count
-- auroc                     double   0..1   P(shown > not shown), ties count half; null
--                                           if not tested, as z and those that follow
-- direction                 varchar         positive (excites) or negative
-- z                         double   SD     Mann-Whitney; null if all are tied, too
-- p_value                   double   0..1   of z, two-sided; 1 if all are tied
-- log10_p, q_value
-- mean_difference_sd        double   SD     mean where shown - mean elsewhere
-- soft_wpmi                 double   nats   log P(concept | top) - log P(concept)
-- top_size                  bigint   count  top examples
-- top_count                 bigint   count  top examples that show it
-- lift                      double   ratio  how much more frequent it is there
-- top_log10_p               double   log10  hypergeometric p of that
-- screening_positive_count  bigint   count  screening: images that show it
-- screening_auroc           double   0..1   screening: as auroc
-- screening_z               double   SD     screening: as z
-- screening_soft_wpmi       double   nats   screening: as soft_wpmi
-- screening_top_count       bigint   count  screening: as top_count
-- screening_top_log10_p     double   log10  screening: as top_log10_p
with

origins as (
    select unnest(['texts', 'stimulus', 'similarity']) as origin
),

-- What is corrected together, numbered: windows over a number are faster.
pools as (
    select
        dataset, run_id, layer, origin,
        is_circular(tower, origin) as is_circular,
        dense_rank() over (
            order by dataset, run_id, origin, is_circular(tower, origin)
        ) as pool,
    from stg_layers
    cross join origins
),

tested as (
    select
        concept_ranks.*,
        is_circular, pool,
        least(0.0, normal_log_tail(abs(coalesce(z, 0.0))) + ln(2)) as log_p,
    from concept_ranks
    inner join pools using (dataset, run_id, layer, origin)
),

ranked as (
    select
        *,
        benjamini_hochberg_step(
            exp(log_p), log_p, pool, 1, count(*) over (partition by pool)
        ) as step,
    from tested
),

corrected as (
    select *, benjamini_hochberg_q(step, log_p, pool) as q_value,
    from ranked
),

enrichments as (
    select *
    from neuron_enrichments
    where polarity = 'positive'
)

select
    dataset, corrected.model_id, run_id, layer, unit, concept, category, origin,
    is_circular, positive_count, other_count,
    auroc,
    if(auroc >= 0.5, 'positive', 'negative') as direction,
    z,
    exp(log_p) as p_value,
    log_p / ln(10) as log10_p,
    corrected.q_value,
    mean_difference / nullif(sd, 0) as mean_difference_sd,
    testing::double as soft_wpmi,
    top_size,
    coalesce(top_count, 0) as top_count,
    lift,
    coalesce(enrichments.log10_p, 0.0) as top_log10_p,
    screening_positive_count, screening_auroc, screening_z,
    screening::double as screening_soft_wpmi,
    coalesce(screening_top_count, 0) as screening_top_count,
    coalesce(screening_log10_p, 0.0) as screening_top_log10_p,
from corrected
inner join neuron_stats using (dataset, run_id, layer, unit)
left join enrichments
    using (dataset, run_id, layer, unit, concept, category, origin)
left join raw_soft_wpmi using (dataset, run_id, layer, unit, concept)
union all by name
select
    dataset, enrichments.model_id, run_id, layer, unit, concept, category, origin,
    is_circular(tower, origin) as is_circular,
    base_count as positive_count,
    base_size - base_count as other_count,
    top_size, top_count, lift,
    log10_p as top_log10_p,
    screening_count as screening_positive_count,
    screening_top_count,
    screening_log10_p as screening_top_log10_p,
from enrichments
inner join stg_layers using (dataset, run_id, layer)
inner join tested_concepts using (dataset, run_id, concept, category, origin)
where is_cut;
