-- Edges of the histogram's bins. Run before the views; not a view itself.
--
-- A bin is the top byte of a float16: sign, exponent, two bits of the mantissa; so four
-- bins an octave from 2^-14 to 2^16. The first four bins of a side are linear (float16
-- is subnormal there), bin 125 holds everything from 2^16 on, and bin 0 is zero itself.
create or replace macro bin_edge(i) as
    case
        when i >= 125 then 'inf'::double
        when i < 4 then i * 2.0::double ^ -16
        else (1 + (i % 4) / 4.0::double) * 2.0::double ^ ((i // 4) - 15)
    end;

create or replace macro bin_left(bin) as
    case
        when bin = 0 then 0.0::double
        when bin > 0 then bin_edge(bin - 1)
        else -bin_edge(-bin)
    end;

create or replace macro bin_right(bin) as
    case
        when bin = 0 then 0.0::double
        when bin > 0 then bin_edge(bin)
        else -bin_edge(-bin - 1)
    end;
