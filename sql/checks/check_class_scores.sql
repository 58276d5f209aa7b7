-- view:    check_class_scores
-- grain:   one row per classified example whose scores are not whole
-- key:     dataset, run_id, class_set, example_id
-- reads:   raw_class_scores, raw_class_sets
-- purpose: Examples without a score for every class, or whose probabilities do not sum
--          to 1.
--
-- column           type    unit   meaning
-- dataset, run_id, class_set, example_id
-- score_count      bigint  count  its scores
-- class_count      bigint  count  classes of the set
-- probability_sum  double         sum of its probabilities
with

sums as (
    select
        dataset, run_id, class_set, example_id,
        count(*) as score_count,
        count(distinct class_name) as named_count,
        sum(probability) as probability_sum,
    from raw_class_scores
    group by all
)

select
    dataset, run_id, class_set, example_id, score_count,
    len(classes)::bigint as class_count,
    probability_sum,
from sums
inner join raw_class_sets using (dataset, run_id, class_set)
where
    score_count <> len(classes)
    or named_count <> score_count
    -- not: NaN is a violation too
    or not abs(probability_sum - 1) <= 0.0001;
