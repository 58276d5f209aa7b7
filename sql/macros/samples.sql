-- Functions of sampled activations. Run before the views; not views themselves.
--
-- sample_priority(example_id): a hash of an example's id, uniform over 0..2^32 - 1, the
-- finaliser of MurmurHash3 (32 bits). Extraction keeps the examples with the smallest
-- ones of each neuron and bin; pipeline/extract/reservoir.py has the same function.
create or replace macro xor_shift(value, bits) as xor(value, value >> bits);

create or replace macro sample_priority(example_id) as
    xor_shift(
        xor_shift(
            xor_shift(
                (
                    (example_id & 4294967295)::ubigint
                    + (example_id >> 32)::ubigint * 2654435761
                    + 2654435769
                )
                % 4294967296,
                16
            )
            * 2246822507
            % 4294967296,
            13
        )
        * 3266489909
        % 4294967296,
        16
    );

-- octave_left(bin), octave_right(bin): edges of a bin of shard_samples in model units.
-- Bin n > 0 holds 2^(n - 16) to 2^(n - 15), left edge inclusive; -n the same below 0;
-- 0 is zero itself. The lowest bin that a shard has on a side begins at zero instead.
create or replace macro octave_edge(n) as
    case when n > 32 then 'infinity'::double else 2.0::double ^ (n - 16) end;

create or replace macro octave_left(bin, is_lowest) as
    case
        when bin = 0 then 0.0::double
        when bin < 0 then -octave_edge(1 - bin)
        when is_lowest then 0.0::double
        else octave_edge(bin)
    end;

create or replace macro octave_right(bin, is_lowest) as
    -octave_left(-bin, is_lowest);

-- axis_origin(axis, mean): where the axis of a layer (layer_axes) begins, in model
-- units.
create or replace macro axis_origin(axis, mean) as
    case axis when 'z' then mean else 0.0::double end;

-- sd_bin_of(activation, sd, width, offset): which bin an activation is in, counted
-- from the edge at offset: its left edge is offset + bin x width standard deviations
-- from the origin of the axis, inclusive; the activation is given less that origin. It
-- never falls as the activation rises, whatever the rounding.
create or replace macro sd_bin_of(activation, sd, width, edge) as
    floor((activation::double / sd - edge) / width)::bigint;
