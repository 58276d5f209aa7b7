-- view:    peaks
-- grain:   one row per neuron and example whose peak is kept: top, bottom and sampled
-- key:     dataset, run_id, layer, unit, example_id
-- reads:   top_examples, neuron_samples, stg_examples, stg_runs
-- purpose: Where in the image a neuron answers most, as the model saw it and undone.
--
-- A peak is the cell of the layer's grid in which the activation is largest; a cell
-- sees more of the image than its own square. Undone are resize, crop and padding, so
-- that image_x_frac is of the image as a person sees it, upright. Only of layers that
-- pool by max, and of text towers the token alone.
--
-- column        type    unit  meaning
-- dataset, model_id, run_id, layer, unit, example_id, activation, peak_row,
-- peak_column, peak_token, seen_x_frac, seen_y_frac
-- image_x_frac  double  0..1  the same place in the whole image, from the left; null in
--                             padding, and where the run does not say how it resizes
-- image_y_frac  double  0..1  from the top
with

tops as (
    select
        dataset, model_id, run_id, layer, unit, example_id, activation, peak_row,
        peak_column, peak_token, seen_x_frac, seen_y_frac,
    from top_examples
),

samples as (
    select
        dataset, model_id, run_id, layer, unit, example_id, activation, peak_row,
        peak_column, peak_token, seen_x_frac, seen_y_frac,
    from neuron_samples
),

kept as (
    select * from tops
    union
    select * from samples
)

select
    dataset, model_id, run_id, layer, unit, example_id, activation, peak_row,
    peak_column, peak_token, seen_x_frac, seen_y_frac,
    x_in_image(
        seen_x_frac, width_px, height_px, is_turned, image_width_px, image_height_px,
        resize_mode
    ) as image_x_frac,
    y_in_image(
        seen_y_frac, width_px, height_px, is_turned, image_width_px, image_height_px,
        resize_mode
    ) as image_y_frac,
from kept
inner join stg_runs using (dataset, run_id, model_id)
inner join stg_examples using (dataset, example_id)
where peak_row is not null or peak_token is not null;
