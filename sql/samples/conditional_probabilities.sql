-- view:    conditional_probabilities
-- grain:   one row per neuron, origin, labeller, concept, category and SD bin
-- key:     dataset, run_id, layer, unit, origin, labeller, concept, category, sd_bin
-- reads:   human_labels, shown_counts, stg_layers, layer_axes, settings
-- purpose: P(category | activation): how selective a neuron is, bin by bin.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030 (the Trump neuron); Wilson 1927,
--          doi:10.1080/01621459.1927.10502953
--
-- Origin human: of the images that a person labelled in a bin, the share with that
-- label. The other origins ask neuron_samples without a person: of the sampled images
-- of the testing half that the origin can speak of, the share that shows the category,
-- or the concept that is the neuron's label. It can speak of images with a text or a
-- stated concept (texts), of stimuli that show something (stimulus), or of all
-- (similarity). The labels were chosen on the other half. A category that a bin never
-- shows has a row of zero hits. Bins without such images have no row.
--
-- column            type     unit   meaning
-- dataset, model_id, run_id, layer, unit
-- origin            varchar         human, texts, stimulus or similarity
-- is_circular       boolean         told by the text that a text tower read
-- labeller          varchar         human: who; otherwise null
-- concept           varchar         the concept; null: the category as a whole
-- category          varchar         the category, or what the person wrote
-- axis
-- sd_bin            bigint   index  bin on that axis, as in neuron_samples
-- bin_left_sd       double   SD     its left edge on that axis, inclusive
-- bin_right_sd      double   SD     its right edge, exclusive
-- sample_count      bigint   count  images of the bin that were judged
-- hit_count
-- probability       double   0..1   hit_count / sample_count
-- probability_low   double   0..1   lower end of Wilson's 95 % interval
-- probability_high  double   0..1   upper end
with

labelled as (
    select *
    from human_labels
    where sd_bin is not null
),

labelled_bins as (
    select dataset, run_id, layer, unit, labeller, sd_bin, count(*) as sample_count,
    from labelled
    group by all
),

labelled_categories as (
    select distinct dataset, run_id, layer, unit, labeller, category,
    from labelled
),

labelled_hits as (
    select
        dataset, run_id, layer, unit, labeller, category, sd_bin,
        count(*) as hit_count,
    from labelled
    group by all
),

human as (
    select *, 'human' as origin,
    from labelled_bins
    inner join labelled_categories using (dataset, run_id, layer, unit, labeller)
    left join labelled_hits
        using (dataset, run_id, layer, unit, labeller, category, sd_bin)
),

counted as (
    select *
    from shown_counts
    union all by name
    select *
    from human
),

final as (
    select * replace (coalesce(hit_count, 0) as hit_count)
    from counted
)

select
    dataset, stg_layers.model_id, run_id, layer, unit, origin,
    is_circular(tower, origin) as is_circular,
    labeller, concept, category, axis, sd_bin,
    sd_bin_offset + sd_bin * sd_bin_width as bin_left_sd,
    sd_bin_offset + (sd_bin + 1) * sd_bin_width as bin_right_sd,
    sample_count, hit_count,
    hit_count / sample_count as probability,
    wilson_low(hit_count, sample_count) as probability_low,
    wilson_high(hit_count, sample_count) as probability_high,
from final
inner join stg_layers using (dataset, run_id, layer)
inner join layer_axes using (dataset, run_id, layer)
cross join settings;
