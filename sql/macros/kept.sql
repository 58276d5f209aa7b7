-- How much of a layer is stored. Run before the views; not a view itself.
--
-- kept_count: stored activations of a neuron in a shard of so many examples, where
-- layers.store is top:FRAC: that share, rounded up. In whole millionths: as a float
-- 0.07 * 100 is a little more than 7, and would round up to 8.
create or replace macro kept_count(store, example_count) as (
    round(try_cast(replace(store, 'top:', '') as double) * 1000000)::bigint
    * example_count
    + 999999
) // 1000000;
