-- view:    shown_counts
-- grain:   one row per neuron, origin, concept, category and SD bin
-- key:     dataset, run_id, layer, unit, origin, concept, category, sd_bin
-- reads:   drawn_examples, tested_labels, run_concepts, stg_examples, image_texts,
--          stg_stated_concepts, stg_stimuli, settings
-- purpose: How many of a bin's sampled images show a category, or the neuron's label.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030 (the Trump neuron)
--
-- What conditional_probabilities says without a person; the rule is told there.
--
-- column        type     unit   meaning
-- dataset, run_id, layer, unit
-- origin        varchar         texts, stimulus or similarity
-- concept       varchar         the neuron's label; null: the category as a whole
-- category      varchar         the category
-- sd_bin
-- sample_count  bigint   count  images of the bin that the origin can speak of
-- hit_count     bigint   count  of these, images that show it
with

-- The images that each origin can speak of.
judged_images as (
    select dataset, example_id, 'texts' as origin,
    from image_texts
    cross join settings
    where list_contains(text_kinds, text_kind)
    union
    select dataset, example_id, 'texts' as origin,
    from stg_stated_concepts
    union all
    select dataset, example_id, 'stimulus' as origin,
    from stg_stimuli
    where concept is not null
    union all
    select dataset, example_id, 'similarity' as origin,
    from stg_examples
),

judged as (
    select dataset, run_id, layer, unit, origin, sd_bin, example_id,
    from drawn_examples
    inner join judged_images using (dataset, example_id)
    inner join stg_examples using (dataset, example_id)
    where half = 'testing'
),

judged_bins as (
    select dataset, run_id, layer, unit, origin, sd_bin, count(*) as sample_count,
    from judged
    group by all
),

-- What is asked of a bin: every category of its origin, and its neuron's own label. No
-- concept is '' up to the end, so that it can be joined on.
categories as (
    select distinct dataset, run_id, origin, '' as concept, category,
    from run_concepts
),

labels as (
    select dataset, run_id, layer, unit, concept, category,
    from tested_labels
    where is_labelled
),

asked as (
    select *
    from judged_bins
    inner join categories using (dataset, run_id, origin)
    union all by name
    select *
    from judged_bins
    inner join labels using (dataset, run_id, layer, unit)
    semi join run_concepts using (dataset, run_id, origin, concept, category)
),

shown_categories as (
    select distinct dataset, run_id, example_id, origin, '' as concept, category,
    from run_concepts
    where half = 'testing'
),

hits as (
    select
        dataset, run_id, layer, unit, origin, concept, category, sd_bin,
        count(*) as hit_count,
    from judged
    inner join shown_categories using (dataset, run_id, example_id, origin)
    group by all
    union all
    select
        dataset, run_id, layer, unit, origin, concept, category, sd_bin,
        count(*) as hit_count,
    from judged
    inner join labels using (dataset, run_id, layer, unit)
    inner join run_concepts
        using (dataset, run_id, example_id, origin, concept, category)
    group by all
)

select
    dataset, run_id, layer, unit, origin,
    nullif(concept, '') as concept,
    category, sd_bin, sample_count,
    coalesce(hit_count, 0) as hit_count,
from asked
left join hits
    using (dataset, run_id, layer, unit, origin, concept, category, sd_bin);
