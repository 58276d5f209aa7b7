-- view:    check_class_scores
-- grain:   one row per classified example whose scores are not whole
-- key:     dataset, run_id, class_set, example_id
-- reads:   raw_class_scores, raw_class_sets
-- purpose: Examples without a score for every class, or whose probabilities do not sum
--          to 1.
--
-- column           type     unit   meaning
-- dataset          varchar         name of the dataset
-- run_id           varchar         the run
-- class_set        varchar         the class set
-- example_id       bigint   id     the example
-- score_count      bigint   count  its scores
-- class_count      bigint   count  classes of the set
-- probability_sum  double          sum of its probabilities
with

sums as (
    select
        raw_class_scores.dataset,
        raw_class_scores.run_id,
        raw_class_scores.class_set,
        raw_class_scores.example_id,
        count(*) as score_count,
        count(distinct raw_class_scores.class_name) as named_count,
        sum(raw_class_scores.probability) as probability_sum,
    from raw_class_scores
    group by all
)

select
    sums.dataset,
    sums.run_id,
    sums.class_set,
    sums.example_id,
    sums.score_count,
    len(raw_class_sets.classes)::bigint as class_count,
    sums.probability_sum,
from sums
inner join raw_class_sets
    on
        sums.dataset = raw_class_sets.dataset
        and sums.run_id = raw_class_sets.run_id
        and sums.class_set = raw_class_sets.class_set
where
    sums.score_count <> len(raw_class_sets.classes)
    or sums.named_count <> sums.score_count
    or not abs(sums.probability_sum - 1) <= 0.0001;  -- not: NaN is a violation too
