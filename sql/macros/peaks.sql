-- Functions of peaks: where in its layer's grid an activation is the largest. Run before
-- the views; not views themselves.
--
-- peak_cell(peak, grid_columns, prefix_tokens): the peak counted from the first cell of
-- the grid; null where there is no grid, and for a token before the patches.
create or replace macro peak_cell(peak, grid_columns, prefix_tokens) as
    case
        when grid_columns is not null and peak >= prefix_tokens
            then (peak - prefix_tokens)::integer
    end;

-- peak_row, peak_column: that as row and column, from 0.
create or replace macro peak_row(peak, grid_columns, prefix_tokens) as
    peak_cell(peak, grid_columns, prefix_tokens) // grid_columns;

create or replace macro peak_column(peak, grid_columns, prefix_tokens) as
    peak_cell(peak, grid_columns, prefix_tokens) % grid_columns;

-- seen_frac(cell, cells): the middle of a row or column, as a share of the image as the
-- model saw it.
create or replace macro seen_frac(cell, cells) as (cell + 0.5::double) / cells;

-- resized_px(px, other_px, input_px, other_input_px, resize_mode): width (or height) of
-- an image after the resize and before crop or padding; of the other direction the same
-- numbers. As pipeline/clip/image_spec.py, which rounds as open_clip does.
create or replace macro resized_px(px, other_px, input_px, other_input_px, resize_mode) as
    case
        when resize_mode = 'squash' then input_px
        when resize_mode = 'shortest' and input_px = other_input_px
            then if(px <= other_px, input_px, (input_px * px // other_px)::bigint)
        when resize_mode = 'shortest'
            then round_even(px / least(px / input_px, other_px / other_input_px), 0)
        when resize_mode = 'longest'
            then round_even(px / greatest(px / input_px, other_px / other_input_px), 0)
    end;

-- image_frac(seen, resized, input_px): where in the whole image a place is that the
-- model saw: what crop and padding moved is moved back. Null in the padding.
create or replace macro inside_frac(share) as if(share between 0 and 1, share, null);

create or replace macro image_frac(seen, resized, input_px) as inside_frac(
    (
        seen * input_px
        + if(
            resized < input_px,
            -((input_px - resized) // 2),
            round_even((resized - input_px) / 2, 0)
        )
    )
    / resized
);

-- x_in_image, y_in_image(seen, width_px, height_px, is_turned, input_width_px,
-- input_height_px, resize_mode): a place that the model saw in the whole image as a
-- person sees it. Width and height are those of the file; is_turned: EXIF swaps them.
create or replace macro x_in_image(
    seen, width_px, height_px, is_turned, input_width_px, input_height_px, resize_mode
) as image_frac(
    seen,
    resized_px(
        if(is_turned, height_px, width_px), if(is_turned, width_px, height_px),
        input_width_px, input_height_px, resize_mode
    ),
    input_width_px
);

create or replace macro y_in_image(
    seen, width_px, height_px, is_turned, input_width_px, input_height_px, resize_mode
) as image_frac(
    seen,
    resized_px(
        if(is_turned, width_px, height_px), if(is_turned, height_px, width_px),
        input_height_px, input_width_px, resize_mode
    ),
    input_height_px
);
