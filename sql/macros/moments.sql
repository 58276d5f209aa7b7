-- Merging moments. Run before the views; not a view itself.
--
-- Parts are a list of rows of shard_stats, as structs, in the order of shard_ordinal.
-- Their sums round, so they are always taken in that order, and in the steps in which
-- files are merged, whether they are or not: the same to the last bit.
--
-- mean_of_parts(parts): the mean activation over all of them; null if there is none.
create or replace macro mean_of_parts(parts) as
    list_sum([part.activation_sum for part in parts])
    / nullif(list_sum([part.example_count for part in parts]), 0);

-- how far a part's mean is from that of all; 0 for a part without examples
create or replace macro away_of_part(part, mean) as
    coalesce(part.activation_sum / nullif(part.example_count, 0) - mean, 0);

-- add_known(parts, values): the sum, or null if a part was written before the central
-- sums were kept.
create or replace macro add_known(parts, terms) as
    case
        when len([1 for part in parts if part.central_sum_2 is null]) = 0
            then list_sum(terms)
    end;

-- merge_moments(parts, mean): a struct like the parts, of all their examples; the mean
-- is that of mean_of_parts.
create or replace macro merge_moments(parts, mean) as
    {
        'shard_ordinal': parts[1].shard_ordinal,
        'example_count': list_sum([part.example_count for part in parts])::bigint,
        'duplicate_count': list_sum([part.duplicate_count for part in parts])::bigint,
        'zero_count': list_sum([part.zero_count for part in parts])::bigint,
        'positive_count': list_sum([part.positive_count for part in parts])::bigint,
        'activation_sum': list_sum([part.activation_sum for part in parts]),
        'activation_sum_sq': list_sum([part.activation_sum_sq for part in parts]),
        'activation_min': list_min([part.activation_min for part in parts]),
        'activation_max': list_max([part.activation_max for part in parts]),
        'central_sum_2': add_known(
            parts,
            [
                part.central_sum_2 + part.example_count * away_of_part(part, mean) ^ 2
                for part in parts
            ]
        ),
        'central_sum_3': add_known(
            parts,
            [
                part.central_sum_3
                + 3 * away_of_part(part, mean) * part.central_sum_2
                + part.example_count * away_of_part(part, mean) ^ 3
                for part in parts
            ]
        ),
        'central_sum_4': add_known(
            parts,
            [
                part.central_sum_4
                + 4 * away_of_part(part, mean) * part.central_sum_3
                + 6 * away_of_part(part, mean) ^ 2 * part.central_sum_2
                + part.example_count * away_of_part(part, mean) ^ 4
                for part in parts
            ]
        ),
        'positive_sum': add_known(parts, [part.positive_sum for part in parts]),
        'positive_sum_sq': add_known(parts, [part.positive_sum_sq for part in parts])
    };

-- part_of_row(...): a row of shard_stats as a part.
create or replace macro part_of_row(
    shard_ordinal, example_count, duplicate_count, zero_count, positive_count,
    activation_sum, activation_sum_sq, activation_min, activation_max, central_sum_2,
    central_sum_3, central_sum_4, positive_sum, positive_sum_sq
) as
    {
        'shard_ordinal': shard_ordinal,
        'example_count': example_count,
        'duplicate_count': duplicate_count,
        'zero_count': zero_count,
        'positive_count': positive_count,
        'activation_sum': activation_sum,
        'activation_sum_sq': activation_sum_sq,
        'activation_min': activation_min,
        'activation_max': activation_max,
        'central_sum_2': central_sum_2,
        'central_sum_3': central_sum_3,
        'central_sum_4': central_sum_4,
        'positive_sum': positive_sum,
        'positive_sum_sq': positive_sum_sq
    };
