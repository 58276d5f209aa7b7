-- view:    neuron_stats
-- grain:   one row per neuron
-- key:     dataset, run_id, layer, unit
-- reads:   stg_neuron_moments, neuron_histograms, stg_runs
-- purpose: Statistics of each neuron over all examples of the run, stored or not.
-- cite:    Treves & Rolls 1991, doi:10.1088/0954-898X/2/4/004; Vinje & Gallant 2000,
--          doi:10.1126/science.287.5456.1273 (sparsity)
--
-- Quantiles come from the histogram, so they are exact to a quarter of an octave at
-- worst; everything else is exact. A selective neuron answers much to few images: its
-- skewness, kurtosis and sparsity are high. Skewness and kurtosis are of the whole
-- distribution: third and fourth powers of the deviations from the mean in units of sd,
-- on average; the kurtosis less 3, so that both are 0 of a normal distribution (as
-- SciPy's skew and kurtosis). Sparsity is of the response r, the activation where it is
-- above zero and 0 elsewhere: (1 - mean(r)^2 / mean(r^2)) / (1 - 1 / example_count); 0
-- for a neuron that answers to all images alike, 1 for one that answers to one alone.
-- Hoyer's measure of r rises and falls with it. Null: skewness and kurtosis of a
-- constant neuron, sparsity of one that is never above zero, and all three where a
-- shard was extracted before they were kept.
--
-- column           type    unit         meaning
-- dataset, model_id, run_id, layer, unit
-- example_count    bigint  count        examples, repeated images included
-- duplicate_count  bigint  count        of these, repeated images
-- mean             double  model units  mean activation
-- sd               double  model units  population standard deviation
-- min              float   model units  smallest activation
-- max              float   model units  largest activation
-- skewness         double               lopsidedness; 0 if symmetric
-- kurtosis         double               excess kurtosis; 0 if normal
-- sparsity         double  0..1         1 = answers to one image, 0 = to all alike
-- active_frac      double  0..1         share of activations above zero
-- zero_frac        double  0..1         share of activations that are exactly zero
-- quantile_01      double  model units  0.01 quantile, interpolated in its bin
-- quantile_05      double  model units  0.05 quantile, interpolated in its bin
-- quantile_25      double  model units  0.25 quantile, interpolated in its bin
-- quantile_50      double  model units  0.5 quantile, interpolated in its bin
-- quantile_75      double  model units  0.75 quantile, interpolated in its bin
-- quantile_95      double  model units  0.95 quantile, interpolated in its bin
-- quantile_99      double  model units  0.99 quantile, interpolated in its bin
-- quantile_999     double  model units  0.999 quantile, interpolated in its bin
with

moments as (
    select
        *,
        activation_sum / example_count as mean,
        activation_sum_sq / example_count as mean_sq,
        central_sum_2 / example_count as variance,
        positive_sum / example_count as response,
        positive_sum_sq / example_count as response_sq,
    from stg_neuron_moments
    where example_count > 0
),

cumulated as (
    select
        *,
        sum(example_count) over (
            partition by dataset, run_id, layer, unit order by bin
        ) as upto_count,
    from neuron_histograms
),

-- of each bin the fractions that fall into it
quantiles as (
    select
        dataset, run_id, layer, unit,
        unnest(
            list_filter(
                [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999],
                lambda f:
                f * moments.example_count > upto_count - cumulated.example_count
                and f * moments.example_count <= upto_count
            )
        ) as frac,
        greatest(bin_left, activation_min)
        + (least(bin_right, activation_max) - greatest(bin_left, activation_min))
        * (frac * moments.example_count - (upto_count - cumulated.example_count))
        / cumulated.example_count as activation,
    from cumulated
    inner join moments using (dataset, run_id, layer, unit)
),

wide as (
    select
        dataset, run_id, layer, unit,
        max(activation) filter (where frac = 0.01) as quantile_01,
        max(activation) filter (where frac = 0.05) as quantile_05,
        max(activation) filter (where frac = 0.25) as quantile_25,
        max(activation) filter (where frac = 0.5) as quantile_50,
        max(activation) filter (where frac = 0.75) as quantile_75,
        max(activation) filter (where frac = 0.95) as quantile_95,
        max(activation) filter (where frac = 0.99) as quantile_99,
        max(activation) filter (where frac = 0.999) as quantile_999,
    from quantiles
    group by all
)

select
    dataset, model_id, run_id, layer, unit, moments.example_count, duplicate_count,
    mean,
    -- a constant neuron has sd 0, whatever the rounding of the two means
    case
        when activation_min = activation_max then 0
        else sqrt(coalesce(variance, greatest(mean_sq - mean ^ 2, 0)))
    end as sd,
    activation_min as min,
    activation_max as max,
    case
        when activation_min < activation_max
            then (central_sum_3 / example_count) / nullif(variance ^ 1.5, 0)
    end as skewness,
    case
        when activation_min < activation_max
            then (central_sum_4 / example_count) / nullif(variance ^ 2, 0) - 3
    end as kurtosis,
    case
        when example_count > 1 and response_sq > 0
            then
                greatest(0.0::double, 1.0 - response ^ 2 / response_sq)
                / (1.0 - 1.0::double / example_count)
    end as sparsity,
    positive_count / example_count as active_frac,
    zero_count / example_count as zero_frac,
    quantile_01, quantile_05, quantile_25, quantile_50,
    quantile_75, quantile_95, quantile_99, quantile_999,
from moments
inner join stg_runs using (dataset, run_id)
inner join wide using (dataset, run_id, layer, unit);
