-- view:    neuron_samples
-- grain:   one row per neuron and sampled example
-- key:     dataset, run_id, layer, unit, example_id
-- reads:   drawn_examples, settings
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
-- column        type    unit      meaning
-- dataset, model_id, run_id, layer, unit, axis, sd_bin
-- bin_left_sd   double  SD        its left edge on that axis, inclusive
-- bin_right_sd  double  SD        its right edge, exclusive
-- example_id, activation
-- activation_sd double  SD        standard deviations from zero
-- activation_z  double  SD        standard deviations from the neuron's mean
-- sample_rank, sampled_frac, peak_row, peak_column, peak_token, seen_x_frac,
-- seen_y_frac
select
    dataset, model_id, run_id, layer, unit, axis, sd_bin,
    sd_bin_offset + sd_bin * sd_bin_width as bin_left_sd,
    sd_bin_offset + (sd_bin + 1) * sd_bin_width as bin_right_sd,
    example_id, activation,
    activation::double / sd as activation_sd,
    (activation::double - mean) / sd as activation_z,
    sample_rank, sampled_frac, peak_row, peak_column, peak_token, seen_x_frac,
    seen_y_frac,
from drawn_examples
cross join settings;
