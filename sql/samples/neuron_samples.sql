-- view:    neuron_samples
-- grain:   one row per neuron and sampled example
-- key:     dataset, run_id, layer, unit, example_id
-- reads:   raw_shard_samples, stg_runs, neuron_stats, layer_axes, top_examples,
--          settings
-- purpose: Examples drawn at random from every bin of every neuron's activation.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030; Cohen & Kaplan 2007,
--          doi:10.1145/1281100.1281133 (bottom-k sketches)
--
-- Bins are sd_bin_width wide, in standard deviations on the axis of the layer (from
-- zero, or from the neuron's mean: layer_axes), and one edge is at sd_bin_offset
-- (settings). What is here of a bin is a uniform sample of the run's images in it:
-- those whose priority, a hash of their id, is below a threshold below which no shard
-- left one out. Bins beyond the k-th strongest or weakest example hold all of theirs.
-- Take the first n by sample_rank for a smaller uniform sample. Repeated images are
-- left out, and so are constant neurons.
--
-- column         type     unit         meaning
-- dataset        varchar               name of the dataset
-- model_id       varchar               architecture:pretrained
-- run_id         varchar               the run
-- layer          varchar               module path, point and pooling
-- unit           integer  index 0..    position of the neuron inside its layer
-- axis           varchar               sd: SD from zero; z: SD from the neuron's mean
-- sd_bin         bigint   index        slice of that axis, sd_bin_width standard
--                                      deviations wide; 0 begins at sd_bin_offset
-- bin_left_sd    double   SD           its left edge on that axis, inclusive
-- bin_right_sd   double   SD           its right edge, exclusive
-- example_id     bigint   id           the example
-- activation     float    model units  activation after pooling
-- activation_sd  double   SD           standard deviations from zero
-- activation_z   double   SD           standard deviations from the neuron's mean
-- sample_rank    bigint   rank 1..     order of the sample in its bin, by priority
-- sampled_frac   double   0..1         share of the bin's images that is here,
--                                      estimated; 1: all of them
with

neurons as (
    select
        neuron_stats.dataset,
        neuron_stats.model_id,
        neuron_stats.run_id,
        neuron_stats.layer,
        neuron_stats.unit,
        neuron_stats.mean,
        neuron_stats.sd,
        neuron_stats.min,
        neuron_stats.max,
        layer_axes.axis,
        axis_origin(layer_axes.axis, neuron_stats.mean) as origin,
        settings.sd_bin_width as width,
        settings.sd_bin_offset as edge,
    from neuron_stats
    inner join layer_axes
        on
            neuron_stats.dataset = layer_axes.dataset
            and neuron_stats.run_id = layer_axes.run_id
            and neuron_stats.layer = layer_axes.layer
    cross join settings
    where neuron_stats.sd > 0
),

sketched as (
    select
        raw_shard_samples.dataset,
        raw_shard_samples.run_id,
        raw_shard_samples.layer,
        raw_shard_samples.unit,
        raw_shard_samples.shard_ordinal,
        raw_shard_samples.bin,
        raw_shard_samples.bin_example_count,
        raw_shard_samples.example_id,
        raw_shard_samples.activation,
        sample_priority(raw_shard_samples.example_id) as priority,
    from raw_shard_samples
),

-- A shard left out nothing below the largest priority it kept; null: nothing at all.
shard_bins as (
    select
        sketched.dataset,
        sketched.run_id,
        sketched.layer,
        sketched.unit,
        sketched.shard_ordinal,
        sketched.bin,
        case
            when count(*) < max(sketched.bin_example_count) then max(sketched.priority)
        end as threshold,
    from sketched
    group by
        sketched.dataset,
        sketched.run_id,
        sketched.layer,
        sketched.unit,
        sketched.shard_ordinal,
        sketched.bin
),

placed as (
    select
        shard_bins.dataset,
        shard_bins.run_id,
        shard_bins.layer,
        shard_bins.unit,
        shard_bins.bin,
        abs(shard_bins.bin) = min(abs(shard_bins.bin)) over (
            partition by
                shard_bins.dataset,
                shard_bins.run_id,
                shard_bins.layer,
                shard_bins.unit,
                shard_bins.shard_ordinal,
                sign(shard_bins.bin)
        ) as is_lowest,
        shard_bins.threshold,
    from shard_bins
),

octaves as (
    select
        placed.dataset,
        placed.run_id,
        placed.layer,
        placed.unit,
        placed.bin,
        placed.is_lowest,
        min(placed.threshold) as threshold,
    from placed
    where placed.threshold is not null
    group by
        placed.dataset,
        placed.run_id,
        placed.layer,
        placed.unit,
        placed.bin,
        placed.is_lowest
),

overlapped as (
    select
        octaves.dataset,
        octaves.run_id,
        octaves.layer,
        octaves.unit,
        octaves.threshold,
        unnest(
            range(
                sd_bin_of(
                    greatest(octave_left(octaves.bin, octaves.is_lowest), neurons.min)
                    - neurons.origin,
                    neurons.sd,
                    neurons.width,
                    neurons.edge
                ),
                sd_bin_of(
                    least(octave_right(octaves.bin, octaves.is_lowest), neurons.max)
                    - neurons.origin,
                    neurons.sd,
                    neurons.width,
                    neurons.edge
                )
                + 1
            )
        ) as sd_bin,
    from octaves
    inner join neurons
        on
            octaves.dataset = neurons.dataset
            and octaves.run_id = neurons.run_id
            and octaves.layer = neurons.layer
            and octaves.unit = neurons.unit
),

thresholds as (
    select
        overlapped.dataset,
        overlapped.run_id,
        overlapped.layer,
        overlapped.unit,
        overlapped.sd_bin,
        min(overlapped.threshold) as threshold,
    from overlapped
    group by
        overlapped.dataset,
        overlapped.run_id,
        overlapped.layer,
        overlapped.unit,
        overlapped.sd_bin
),

-- The k-th strongest of each end: of the bins beyond its own all examples are known.
limits as (
    select
        top_examples.dataset,
        top_examples.run_id,
        top_examples.layer,
        top_examples.unit,
        top_examples.polarity,
        case
            -- fewer: then nothing else is on that side of zero
            when count(*) < max(stg_runs.top_k) then 0.0
            when top_examples.polarity = 'positive' then min(top_examples.activation)
            else max(top_examples.activation)
        end as activation,
    from top_examples
    inner join stg_runs
        on
            top_examples.dataset = stg_runs.dataset
            and top_examples.run_id = stg_runs.run_id
    group by
        top_examples.dataset,
        top_examples.run_id,
        top_examples.layer,
        top_examples.unit,
        top_examples.polarity
),

complete as (
    select
        neurons.dataset,
        neurons.run_id,
        neurons.layer,
        neurons.unit,
        max(
            sd_bin_of(
                limits.activation - neurons.origin,
                neurons.sd,
                neurons.width,
                neurons.edge
            )
        ) filter (where limits.polarity = 'positive') as last_sd_bin,
        min(
            sd_bin_of(
                limits.activation - neurons.origin,
                neurons.sd,
                neurons.width,
                neurons.edge
            )
        ) filter (where limits.polarity = 'negative') as first_sd_bin,
    from limits
    inner join neurons
        on
            limits.dataset = neurons.dataset
            and limits.run_id = neurons.run_id
            and limits.layer = neurons.layer
            and limits.unit = neurons.unit
    group by neurons.dataset, neurons.run_id, neurons.layer, neurons.unit
),

candidates as (
    select
        sketched.dataset,
        sketched.run_id,
        sketched.layer,
        sketched.unit,
        sketched.example_id,
        sketched.activation,
        sketched.priority,
        'sample' as source,
    from sketched

    union all

    select
        top_examples.dataset,
        top_examples.run_id,
        top_examples.layer,
        top_examples.unit,
        top_examples.example_id,
        top_examples.activation,
        sample_priority(top_examples.example_id) as priority,
        top_examples.polarity as source,
    from top_examples
),

binned as (
    select
        candidates.dataset,
        neurons.model_id,
        candidates.run_id,
        candidates.layer,
        candidates.unit,
        sd_bin_of(
            candidates.activation - neurons.origin,
            neurons.sd,
            neurons.width,
            neurons.edge
        ) as sd_bin,
        neurons.axis,
        neurons.width,
        neurons.edge,
        candidates.example_id,
        candidates.activation,
        candidates.activation::double / neurons.sd as activation_sd,
        (candidates.activation::double - neurons.mean) / neurons.sd as activation_z,
        candidates.priority,
        candidates.source,
    from candidates
    inner join neurons
        on
            candidates.dataset = neurons.dataset
            and candidates.run_id = neurons.run_id
            and candidates.layer = neurons.layer
            and candidates.unit = neurons.unit
),

judged as (
    select
        binned.dataset,
        binned.model_id,
        binned.run_id,
        binned.layer,
        binned.unit,
        binned.axis,
        binned.sd_bin,
        binned.width,
        binned.edge,
        binned.example_id,
        binned.activation,
        binned.activation_sd,
        binned.activation_z,
        binned.priority,
        binned.source,
        case
            when binned.sd_bin > complete.last_sd_bin then 'positive'
            when binned.sd_bin < complete.first_sd_bin then 'negative'
            else 'sample'
        end as wanted,
        thresholds.threshold,
    from binned
    left join complete
        on
            binned.dataset = complete.dataset
            and binned.run_id = complete.run_id
            and binned.layer = complete.layer
            and binned.unit = complete.unit
    left join thresholds
        on
            binned.dataset = thresholds.dataset
            and binned.run_id = thresholds.run_id
            and binned.layer = thresholds.layer
            and binned.unit = thresholds.unit
            and binned.sd_bin = thresholds.sd_bin
)

select
    judged.dataset,
    judged.model_id,
    judged.run_id,
    judged.layer,
    judged.unit,
    judged.axis,
    judged.sd_bin,
    judged.edge + judged.sd_bin * judged.width as bin_left_sd,
    judged.edge + (judged.sd_bin + 1) * judged.width as bin_right_sd,
    judged.example_id,
    judged.activation,
    judged.activation_sd,
    judged.activation_z,
    row_number() over (
        partition by
            judged.dataset,
            judged.run_id,
            judged.layer,
            judged.unit,
            judged.sd_bin
        order by judged.priority, judged.example_id
    ) as sample_rank,
    case
        when judged.wanted = 'sample'
            then coalesce(judged.threshold / 4294967296, 1.0)
        else 1.0
    end as sampled_frac,
from judged
where
    judged.source = judged.wanted
    and (
        judged.wanted <> 'sample'
        or judged.threshold is null
        or judged.priority < judged.threshold
    );
