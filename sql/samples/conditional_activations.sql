-- view:    conditional_activations
-- grain:   one row per neuron, origin, labeller, concept, category and SD bin
-- key:     dataset, run_id, layer, unit, origin, labeller, concept, category, sd_bin
-- reads:   conditional_probabilities, drawn_examples
-- purpose: P(activation | category): where the images of a category lie on a neuron.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030 (the other plot of each case
--          study: distributions of activation, a category each)
--
-- The other way round of conditional_probabilities, by Bayes' rule: of a bin's images
-- the category's are as many as of its judged ones. That holds for all images as far as
-- those that could be judged are like the others of their bin. Shares are null where no
-- judged image shows the category, and where the run kept no samples.
--
-- column             type     unit    meaning
-- dataset, model_id, run_id, layer, unit, origin, is_circular, labeller, concept,
-- category, axis, sd_bin, bin_left_sd, bin_right_sd, sample_count, hit_count,
-- probability, probability_low, probability_high
-- image_count        double   count   images of the run in the bin, estimated
-- category_count     double   count   of these, that show the category, estimated
-- activation_frac    double   0..1    share of the category's images in the bin
-- overall_frac       double   0..1    share of all images that are in the bin
with

bins as (
    select
        dataset, run_id, layer, unit, sd_bin,
        count(*) / min(sampled_frac) as image_count,
    from drawn_examples
    group by all
),

sizes as (
    select
        *,
        image_count / sum(image_count) over (
            partition by dataset, run_id, layer, unit
        ) as overall_frac,
    from bins
),

counted as (
    select
        *,
        image_count * probability as category_count,
    from conditional_probabilities
    left join sizes using (dataset, run_id, layer, unit, sd_bin)
)

select
    dataset, model_id, run_id, layer, unit, origin, is_circular, labeller, concept,
    category, axis, sd_bin, bin_left_sd, bin_right_sd, sample_count, hit_count,
    probability, probability_low, probability_high, image_count, category_count,
    category_count / nullif(
        sum(category_count) over (
            partition by
                dataset, run_id, layer, unit, origin, labeller, concept, category
        ),
        0
    ) as activation_frac,
    overall_frac,
from counted;
