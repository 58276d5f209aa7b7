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
-- column           type     unit         meaning
-- dataset          varchar               name of the dataset
-- model_id         varchar               architecture:pretrained
-- run_id           varchar               the run
-- layer            varchar               module path, point and pooling
-- unit             integer  index 0..    position of the neuron inside its layer
-- example_count    bigint   count        examples, repeated images included
-- duplicate_count  bigint   count        of these, repeated images
-- mean             double   model units  mean activation
-- sd               double   model units  population standard deviation
-- min              float    model units  smallest activation
-- max              float    model units  largest activation
-- skewness         double                lopsidedness; 0 if symmetric
-- kurtosis         double                excess kurtosis; 0 if normal
-- sparsity         double   0..1         1 = answers to one image, 0 = to all alike
-- active_frac      double   0..1         share of activations above zero
-- zero_frac        double   0..1         share of activations that are exactly zero
-- quantile_01      double   model units  0.01 quantile, interpolated in its bin
-- quantile_05      double   model units  0.05 quantile, interpolated in its bin
-- quantile_25      double   model units  0.25 quantile, interpolated in its bin
-- quantile_50      double   model units  0.5 quantile, interpolated in its bin
-- quantile_75      double   model units  0.75 quantile, interpolated in its bin
-- quantile_95      double   model units  0.95 quantile, interpolated in its bin
-- quantile_99      double   model units  0.99 quantile, interpolated in its bin
-- quantile_999     double   model units  0.999 quantile, interpolated in its bin
with

stg_neuron_moments as (
    select
        stg_neuron_moments.dataset,
        stg_neuron_moments.run_id,
        stg_neuron_moments.layer,
        stg_neuron_moments.unit,
        stg_neuron_moments.example_count,
        stg_neuron_moments.duplicate_count,
        stg_neuron_moments.zero_count,
        stg_neuron_moments.positive_count,
        stg_neuron_moments.activation_sum / stg_neuron_moments.example_count as mean,
        stg_neuron_moments.activation_sum_sq
        / stg_neuron_moments.example_count as mean_sq,
        stg_neuron_moments.activation_min,
        stg_neuron_moments.activation_max,
        stg_neuron_moments.central_sum_2
        / stg_neuron_moments.example_count as variance,
        stg_neuron_moments.central_sum_3 / stg_neuron_moments.example_count as cubes,
        stg_neuron_moments.central_sum_4
        / stg_neuron_moments.example_count as fourths,
        stg_neuron_moments.positive_sum
        / stg_neuron_moments.example_count as response,
        stg_neuron_moments.positive_sum_sq
        / stg_neuron_moments.example_count as response_sq,
    from stg_neuron_moments
    where stg_neuron_moments.example_count > 0
),

cumulated as (
    select
        neuron_histograms.dataset,
        neuron_histograms.run_id,
        neuron_histograms.layer,
        neuron_histograms.unit,
        neuron_histograms.bin_left,
        neuron_histograms.bin_right,
        neuron_histograms.example_count,
        sum(neuron_histograms.example_count) over (
            partition by
                neuron_histograms.dataset,
                neuron_histograms.run_id,
                neuron_histograms.layer,
                neuron_histograms.unit
            order by neuron_histograms.bin
        ) as upto_count,
    from neuron_histograms
),

levels as (
    select unnest([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999]) as level
),

quantiles as (
    select
        cumulated.dataset,
        cumulated.run_id,
        cumulated.layer,
        cumulated.unit,
        levels.level,
        greatest(cumulated.bin_left, stg_neuron_moments.activation_min)
        + (
            least(cumulated.bin_right, stg_neuron_moments.activation_max)
            - greatest(cumulated.bin_left, stg_neuron_moments.activation_min)
        )
        * (
            levels.level * stg_neuron_moments.example_count
            - (cumulated.upto_count - cumulated.example_count)
        ) / cumulated.example_count as activation,
    from cumulated
    inner join stg_neuron_moments
        on
            cumulated.dataset = stg_neuron_moments.dataset
            and cumulated.run_id = stg_neuron_moments.run_id
            and cumulated.layer = stg_neuron_moments.layer
            and cumulated.unit = stg_neuron_moments.unit
    inner join levels
        on
            levels.level * stg_neuron_moments.example_count
            > cumulated.upto_count - cumulated.example_count
            and levels.level * stg_neuron_moments.example_count
            <= cumulated.upto_count
),

wide as (
    select
        quantiles.dataset,
        quantiles.run_id,
        quantiles.layer,
        quantiles.unit,
        max(quantiles.activation)
            filter (where quantiles.level = 0.01) as quantile_01,
        max(quantiles.activation)
            filter (where quantiles.level = 0.05) as quantile_05,
        max(quantiles.activation)
            filter (where quantiles.level = 0.25) as quantile_25,
        max(quantiles.activation)
            filter (where quantiles.level = 0.5) as quantile_50,
        max(quantiles.activation)
            filter (where quantiles.level = 0.75) as quantile_75,
        max(quantiles.activation)
            filter (where quantiles.level = 0.95) as quantile_95,
        max(quantiles.activation)
            filter (where quantiles.level = 0.99) as quantile_99,
        max(quantiles.activation)
            filter (where quantiles.level = 0.999) as quantile_999,
    from quantiles
    group by all
),

final as (
    select
        stg_neuron_moments.dataset,
        stg_runs.model_id,
        stg_neuron_moments.run_id,
        stg_neuron_moments.layer,
        stg_neuron_moments.unit,
        stg_neuron_moments.example_count,
        stg_neuron_moments.duplicate_count,
        stg_neuron_moments.mean,
        -- a constant neuron has sd 0, whatever the rounding of the two means
        case
            when stg_neuron_moments.activation_min = stg_neuron_moments.activation_max
                then 0
            else sqrt(
                coalesce(
                    stg_neuron_moments.variance,
                    greatest(
                        stg_neuron_moments.mean_sq - stg_neuron_moments.mean ^ 2, 0
                    )
                )
            )
        end as sd,
        stg_neuron_moments.activation_min as min,
        stg_neuron_moments.activation_max as max,
        case
            when stg_neuron_moments.activation_min < stg_neuron_moments.activation_max
                then stg_neuron_moments.cubes
                / nullif(stg_neuron_moments.variance ^ 1.5, 0)
        end as skewness,
        case
            when stg_neuron_moments.activation_min < stg_neuron_moments.activation_max
                then stg_neuron_moments.fourths
                / nullif(stg_neuron_moments.variance ^ 2, 0) - 3
        end as kurtosis,
        case
            when
                stg_neuron_moments.example_count > 1
                and stg_neuron_moments.response_sq > 0
                then greatest(
                    0.0::double,
                    1.0
                    - stg_neuron_moments.response ^ 2 / stg_neuron_moments.response_sq
                ) / (1.0 - 1.0::double / stg_neuron_moments.example_count)
        end as sparsity,
        stg_neuron_moments.positive_count
        / stg_neuron_moments.example_count as active_frac,
        stg_neuron_moments.zero_count / stg_neuron_moments.example_count as zero_frac,
        wide.quantile_01,
        wide.quantile_05,
        wide.quantile_25,
        wide.quantile_50,
        wide.quantile_75,
        wide.quantile_95,
        wide.quantile_99,
        wide.quantile_999,
    from stg_neuron_moments
    inner join stg_runs
        on
            stg_neuron_moments.dataset = stg_runs.dataset
            and stg_neuron_moments.run_id = stg_runs.run_id
    inner join wide
        on
            stg_neuron_moments.dataset = wide.dataset
            and stg_neuron_moments.run_id = wide.run_id
            and stg_neuron_moments.layer = wide.layer
            and stg_neuron_moments.unit = wide.unit
)

select
    final.dataset,
    final.model_id,
    final.run_id,
    final.layer,
    final.unit,
    final.example_count,
    final.duplicate_count,
    final.mean,
    final.sd,
    final.min,
    final.max,
    final.skewness,
    final.kurtosis,
    final.sparsity,
    final.active_frac,
    final.zero_frac,
    final.quantile_01,
    final.quantile_05,
    final.quantile_25,
    final.quantile_50,
    final.quantile_75,
    final.quantile_95,
    final.quantile_99,
    final.quantile_999,
from final;
