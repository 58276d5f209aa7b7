-- view:    drawn_examples
-- grain:   one row per neuron and sampled example
-- key:     dataset, run_id, layer, unit, example_id
-- reads:   stg_samples, stg_runs, stg_layers, neuron_stats, layer_axes, top_examples,
--          settings
-- purpose: Which examples are drawn at random of each bin of a neuron's activation.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030; Cohen & Kaplan 2007,
--          doi:10.1145/1281100.1281133 (bottom-k sketches)
--
-- neuron_samples, which says what a sample is, shows the same with what follows from a
-- neuron's mean and spread. A build computes it (pipeline/evidence/samples.py).
--
-- column        type    unit      meaning
-- dataset, model_id, run_id, layer, unit, axis, mean, sd
-- sd_bin        bigint  index     slice of that axis, sd_bin_width standard deviations
--                                 wide; 0 begins at sd_bin_offset
-- example_id, activation
-- sample_rank   bigint  rank 1..  order of the sample in its bin, by priority
-- sampled_frac  double  0..1      share of the bin's images that is here, estimated; 1:
--                                 all of them
-- peak_row, peak_column, peak_token, seen_x_frac, seen_y_frac
with

neurons as (
    select
        neuron_stats.*,
        axis,
        axis_origin(axis, mean) as origin,
        sd_bin_width as width,
        sd_bin_offset as edge,
    from neuron_stats
    inner join layer_axes using (dataset, run_id, layer)
    cross join settings
    where sd > 0
),

octaves as (
    select
        dataset, run_id, layer, unit, bin, is_lowest,
        max(threshold) as least_threshold,
    from stg_samples
    where threshold is not null
    group by all
),

overlapped as (
    select
        dataset, run_id, layer, unit, least_threshold,
        unnest(
            range(
                sd_bin_of(
                    greatest(octave_left(bin, is_lowest), neurons.min) - origin,
                    sd,
                    width,
                    edge
                ),
                sd_bin_of(
                    least(octave_right(bin, is_lowest), neurons.max) - origin,
                    sd,
                    width,
                    edge
                )
                + 1
            )
        ) as sd_bin,
    from octaves
    inner join neurons using (dataset, run_id, layer, unit)
),

thresholds as (
    select
        dataset, run_id, layer, unit, sd_bin,
        min(least_threshold) as threshold,
    from overlapped
    group by all
),

-- The k-th strongest of each end: of the bins beyond its own all examples are known.
limits as (
    select
        dataset, run_id, layer, unit, polarity,
        case
            -- fewer: then nothing else is on that side of zero
            when count(*) < max(top_k) then 0.0
            when polarity = 'positive' then min(activation)
            else max(activation)
        end as activation,
    from top_examples
    inner join stg_runs using (dataset, run_id)
    group by dataset, run_id, layer, unit, polarity
),

complete as (
    select
        dataset, run_id, layer, unit,
        max(sd_bin_of(activation - origin, sd, width, edge))
        filter (where polarity = 'positive') as last_sd_bin,
        min(sd_bin_of(activation - origin, sd, width, edge))
        filter (where polarity = 'negative') as first_sd_bin,
    from limits
    inner join neurons using (dataset, run_id, layer, unit)
    group by all
),

candidates as (
    select
        dataset, run_id, layer, unit, example_id, activation, priority,
        'sample' as kept_by,
        peak_row(peak, grid_columns, prefix_tokens) as peak_row,
        peak_column(peak, grid_columns, prefix_tokens) as peak_column,
        if(token_count is not null, peak, null) as peak_token,
        seen_frac(peak_column, grid_columns) as seen_x_frac,
        seen_frac(peak_row, grid_rows) as seen_y_frac,
    from stg_samples
    left join stg_layers using (dataset, run_id, layer)
    union all
    select
        dataset, run_id, layer, unit, example_id, activation,
        sample_priority(example_id) as priority,
        polarity as kept_by,
        peak_row, peak_column, peak_token, seen_x_frac, seen_y_frac,
    from top_examples
),

binned as (
    select
        candidates.*,
        model_id, axis, mean, sd,
        sd_bin_of(activation - origin, sd, width, edge) as sd_bin,
    from candidates
    inner join neurons using (dataset, run_id, layer, unit)
),

judged as (
    select
        binned.*,
        case
            when sd_bin > last_sd_bin then 'positive'
            when sd_bin < first_sd_bin then 'negative'
            else 'sample'
        end as wanted,
        threshold,
    from binned
    left join complete using (dataset, run_id, layer, unit)
    left join thresholds using (dataset, run_id, layer, unit, sd_bin)
)

select
    dataset, model_id, run_id, layer, unit, axis, mean, sd, sd_bin, example_id,
    activation,
    row_number() over (
        partition by dataset, run_id, layer, unit, sd_bin order by priority, example_id
    ) as sample_rank,
    case
        when wanted = 'sample' then coalesce(threshold / 4294967296, 1.0) else 1.0
    end as sampled_frac,
    peak_row, peak_column, peak_token, seen_x_frac, seen_y_frac,
from judged
where
    kept_by = wanted
    and (wanted <> 'sample' or threshold is null or priority < threshold);
