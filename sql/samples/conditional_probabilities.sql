-- view:    conditional_probabilities
-- grain:   one row per neuron, origin, labeller, concept, category and SD bin
-- key:     dataset, run_id, layer, unit, origin, labeller, concept, category, sd_bin
-- reads:   human_labels, neuron_samples, neuron_labels, run_concepts, stg_examples,
--          image_texts, stg_stimuli, stg_layers, layer_axes, settings
-- purpose: P(category | activation): how selective a neuron is, bin by bin.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030 (the Trump neuron); Wilson 1927,
--          doi:10.1080/01621459.1927.10502953
--
-- Origin human: of the images that a person labelled in a bin, the share with that
-- label. The other origins ask neuron_samples without a person: of the sampled images
-- of the testing half that the origin can speak of, the share that shows the category,
-- or the concept that is the neuron's label. It can speak of images with a text
-- (texts), of stimuli that show something (stimulus), or of all (similarity). The
-- labels were chosen on the other half. A category that a bin never shows has a row of
-- zero hits. Bins without such images have no row.
--
-- column            type     unit       meaning
-- dataset           varchar             name of the dataset
-- model_id          varchar             architecture:pretrained
-- run_id            varchar             the run
-- layer             varchar             module path, point and pooling
-- unit              integer  index 0..  position of the neuron inside its layer
-- origin            varchar             human, texts, stimulus or similarity
-- is_circular       boolean             told by the text that a text tower read
-- labeller          varchar             human: who; otherwise null
-- concept           varchar             the concept; null: the category as a whole
-- category          varchar             the category, or what the person wrote
-- axis              varchar             sd: SD from zero; z: SD from the neuron's mean
-- sd_bin            bigint   index      bin on that axis, as in neuron_samples
-- bin_left_sd       double   SD         its left edge on that axis, inclusive
-- bin_right_sd      double   SD         its right edge, exclusive
-- sample_count      bigint   count      images of the bin that were judged
-- hit_count         bigint   count      of these, images that show it
-- probability       double   0..1       hit_count / sample_count
-- probability_low   double   0..1       lower end of Wilson's 95 % interval
-- probability_high  double   0..1       upper end
with

labelled as (
    select
        human_labels.dataset,
        human_labels.model_id,
        human_labels.run_id,
        human_labels.layer,
        human_labels.unit,
        human_labels.labeller,
        human_labels.category,
        human_labels.sd_bin,
    from human_labels
    where human_labels.sd_bin is not null
),

labelled_bins as (
    select
        labelled.dataset,
        labelled.model_id,
        labelled.run_id,
        labelled.layer,
        labelled.unit,
        labelled.labeller,
        labelled.sd_bin,
        count(*) as sample_count,
    from labelled
    group by all
),

labelled_categories as (
    select distinct
        labelled.dataset,
        labelled.run_id,
        labelled.layer,
        labelled.unit,
        labelled.labeller,
        labelled.category,
    from labelled
),

labelled_hits as (
    select
        labelled.dataset,
        labelled.run_id,
        labelled.layer,
        labelled.unit,
        labelled.labeller,
        labelled.category,
        labelled.sd_bin,
        count(*) as hit_count,
    from labelled
    group by all
),

human as (
    select
        labelled_bins.dataset,
        labelled_bins.model_id,
        labelled_bins.run_id,
        labelled_bins.layer,
        labelled_bins.unit,
        'human' as origin,
        labelled_bins.labeller,
        null::varchar as concept,
        labelled_categories.category,
        labelled_bins.sd_bin,
        labelled_bins.sample_count,
        coalesce(labelled_hits.hit_count, 0) as hit_count,
    from labelled_bins
    inner join labelled_categories
        on
            labelled_bins.dataset = labelled_categories.dataset
            and labelled_bins.run_id = labelled_categories.run_id
            and labelled_bins.layer = labelled_categories.layer
            and labelled_bins.unit = labelled_categories.unit
            and labelled_bins.labeller = labelled_categories.labeller
    left join labelled_hits
        on
            labelled_bins.dataset = labelled_hits.dataset
            and labelled_bins.run_id = labelled_hits.run_id
            and labelled_bins.layer = labelled_hits.layer
            and labelled_bins.unit = labelled_hits.unit
            and labelled_bins.labeller = labelled_hits.labeller
            and labelled_bins.sd_bin = labelled_hits.sd_bin
            and labelled_categories.category = labelled_hits.category
),

-- The images that each origin can speak of.
judged_images as (
    select distinct
        image_texts.dataset,
        image_texts.example_id,
        'texts' as origin,
    from image_texts
    cross join settings
    where list_contains(settings.text_kinds, image_texts.text_kind)

    union all

    select
        stg_stimuli.dataset,
        stg_stimuli.example_id,
        'stimulus' as origin,
    from stg_stimuli
    where stg_stimuli.concept is not null

    union all

    select
        stg_examples.dataset,
        stg_examples.example_id,
        'similarity' as origin,
    from stg_examples
),

testing_images as (
    select
        judged_images.dataset,
        judged_images.example_id,
        judged_images.origin,
    from judged_images
    inner join stg_examples
        on
            judged_images.dataset = stg_examples.dataset
            and judged_images.example_id = stg_examples.example_id
    where stg_examples.half = 'testing'
),

judged as (
    select
        neuron_samples.dataset,
        neuron_samples.model_id,
        neuron_samples.run_id,
        neuron_samples.layer,
        neuron_samples.unit,
        testing_images.origin,
        neuron_samples.sd_bin,
        neuron_samples.example_id,
    from neuron_samples
    inner join testing_images
        on
            neuron_samples.dataset = testing_images.dataset
            and neuron_samples.example_id = testing_images.example_id
),

judged_bins as (
    select
        judged.dataset,
        judged.model_id,
        judged.run_id,
        judged.layer,
        judged.unit,
        judged.origin,
        judged.sd_bin,
        count(*) as sample_count,
    from judged
    group by all
),

-- What an image shows: every category, and the concepts that are a label of the run.
labels as (
    select
        neuron_labels.dataset,
        neuron_labels.run_id,
        neuron_labels.layer,
        neuron_labels.unit,
        neuron_labels.concept,
        neuron_labels.category,
    from neuron_labels
    where neuron_labels.is_labelled
),

shown_categories as (
    select distinct
        run_concepts.dataset,
        run_concepts.run_id,
        run_concepts.example_id,
        run_concepts.origin,
        run_concepts.category,
    from run_concepts
    where run_concepts.half = 'testing'
),

category_hits as (
    select
        judged.dataset,
        judged.run_id,
        judged.layer,
        judged.unit,
        judged.origin,
        null::varchar as concept,
        shown_categories.category,
        judged.sd_bin,
        count(*) as hit_count,
    from judged
    inner join shown_categories
        on
            judged.dataset = shown_categories.dataset
            and judged.run_id = shown_categories.run_id
            and judged.example_id = shown_categories.example_id
            and judged.origin = shown_categories.origin
    group by all
),

concept_hits as (
    select
        judged.dataset,
        judged.run_id,
        judged.layer,
        judged.unit,
        judged.origin,
        labels.concept,
        labels.category,
        judged.sd_bin,
        count(*) as hit_count,
    from judged
    inner join labels
        on
            judged.dataset = labels.dataset
            and judged.run_id = labels.run_id
            and judged.layer = labels.layer
            and judged.unit = labels.unit
    inner join run_concepts
        on
            judged.dataset = run_concepts.dataset
            and judged.run_id = run_concepts.run_id
            and judged.example_id = run_concepts.example_id
            and judged.origin = run_concepts.origin
            and labels.concept = run_concepts.concept
            and labels.category = run_concepts.category
    group by all
),

hits as (
    select
        category_hits.dataset,
        category_hits.run_id,
        category_hits.layer,
        category_hits.unit,
        category_hits.origin,
        category_hits.concept,
        category_hits.category,
        category_hits.sd_bin,
        category_hits.hit_count,
    from category_hits

    union all

    select
        concept_hits.dataset,
        concept_hits.run_id,
        concept_hits.layer,
        concept_hits.unit,
        concept_hits.origin,
        concept_hits.concept,
        concept_hits.category,
        concept_hits.sd_bin,
        concept_hits.hit_count,
    from concept_hits
),

-- What is asked of a neuron: every category of the origin, and its own label's concept.
origin_categories as (
    select distinct
        run_concepts.dataset,
        run_concepts.run_id,
        run_concepts.origin,
        run_concepts.category,
    from run_concepts
),

origin_concepts as (
    select distinct
        run_concepts.dataset,
        run_concepts.run_id,
        run_concepts.origin,
        run_concepts.concept,
        run_concepts.category,
    from run_concepts
),

asked as (
    select
        judged_bins.dataset,
        judged_bins.model_id,
        judged_bins.run_id,
        judged_bins.layer,
        judged_bins.unit,
        judged_bins.origin,
        null::varchar as concept,
        origin_categories.category,
        judged_bins.sd_bin,
        judged_bins.sample_count,
    from judged_bins
    inner join origin_categories
        on
            judged_bins.dataset = origin_categories.dataset
            and judged_bins.run_id = origin_categories.run_id
            and judged_bins.origin = origin_categories.origin

    union all

    select
        judged_bins.dataset,
        judged_bins.model_id,
        judged_bins.run_id,
        judged_bins.layer,
        judged_bins.unit,
        judged_bins.origin,
        labels.concept,
        labels.category,
        judged_bins.sd_bin,
        judged_bins.sample_count,
    from judged_bins
    inner join labels
        on
            judged_bins.dataset = labels.dataset
            and judged_bins.run_id = labels.run_id
            and judged_bins.layer = labels.layer
            and judged_bins.unit = labels.unit
    inner join origin_concepts
        on
            judged_bins.dataset = origin_concepts.dataset
            and judged_bins.run_id = origin_concepts.run_id
            and judged_bins.origin = origin_concepts.origin
            and labels.concept = origin_concepts.concept
            and labels.category = origin_concepts.category
),

computed as (
    select
        asked.dataset,
        asked.model_id,
        asked.run_id,
        asked.layer,
        asked.unit,
        asked.origin,
        null::varchar as labeller,
        asked.concept,
        asked.category,
        asked.sd_bin,
        asked.sample_count,
        coalesce(hits.hit_count, 0) as hit_count,
    from asked
    left join hits
        on
            asked.dataset = hits.dataset
            and asked.run_id = hits.run_id
            and asked.layer = hits.layer
            and asked.unit = hits.unit
            and asked.origin = hits.origin
            and asked.concept is not distinct from hits.concept
            and asked.category = hits.category
            and asked.sd_bin = hits.sd_bin
),

final as (
    select
        human.dataset,
        human.model_id,
        human.run_id,
        human.layer,
        human.unit,
        human.origin,
        human.labeller,
        human.concept,
        human.category,
        human.sd_bin,
        human.sample_count,
        human.hit_count,
    from human

    union all

    select
        computed.dataset,
        computed.model_id,
        computed.run_id,
        computed.layer,
        computed.unit,
        computed.origin,
        computed.labeller,
        computed.concept,
        computed.category,
        computed.sd_bin,
        computed.sample_count,
        computed.hit_count,
    from computed
)

select
    final.dataset,
    final.model_id,
    final.run_id,
    final.layer,
    final.unit,
    final.origin,
    is_circular(stg_layers.tower, final.origin) as is_circular,
    final.labeller,
    final.concept,
    final.category,
    layer_axes.axis,
    final.sd_bin,
    settings.sd_bin_offset + final.sd_bin * settings.sd_bin_width as bin_left_sd,
    settings.sd_bin_offset + (final.sd_bin + 1) * settings.sd_bin_width as bin_right_sd,
    final.sample_count,
    final.hit_count,
    final.hit_count / final.sample_count as probability,
    wilson_low(final.hit_count, final.sample_count) as probability_low,
    wilson_high(final.hit_count, final.sample_count) as probability_high,
from final
inner join stg_layers
    on
        final.dataset = stg_layers.dataset
        and final.run_id = stg_layers.run_id
        and final.layer = stg_layers.layer
inner join layer_axes
    on
        final.dataset = layer_axes.dataset
        and final.run_id = layer_axes.run_id
        and final.layer = layer_axes.layer
cross join settings;
