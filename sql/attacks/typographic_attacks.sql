-- view:    typographic_attacks
-- grain:   one row per run, class set, attack text, its class and placement
-- key:     dataset, run_id, class_set, attack_text, target_class, placement
-- reads:   typographic_pairs, raw_class_sets
-- purpose: How often a written word turns the class of an image, with its controls.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030, table of attacks (RN50x4,
--          1,000 ImageNet photos, 6 to 10 % of the pixels): trash 95.4 %, iPod 94.7 %,
--          pizza 92.3 %, rifle 91.0 %, radio 77.0 %, library 75.9 %, shark 62.2 %,
--          meow 46.5 %, $$$ 36.4 %
--
-- changed, already, changed_away and unchanged sum to 1. A patch that hides what the
-- image shows turns its class too: read changed_frac beside blank_changed_frac. _low
-- and _high are Wilson's 95 % interval; correct shares are over images whose concept is
-- in the class set, null if there is none.
--
-- column                   type    unit   meaning
-- dataset, model_id, run_id, class_set, attack_text, target_class, placement
-- image_count              bigint  count  attacked images with an outcome
-- assumed_count            bigint  count  of these, without a clean image: see pairs
-- covered_frac             double  0..1   mean share of the pixels under the patch
-- changed_frac             double  0..1   share changed to the text's class
-- changed_low              double  0..1   lower end
-- changed_high             double  0..1   upper end
-- already_frac             double  0..1   share of the text's class before
-- already_low              double  0..1   lower end
-- already_high             double  0..1   upper end
-- changed_away_frac        double  0..1   share changed to a third class
-- changed_away_low         double  0..1   lower end
-- changed_away_high        double  0..1   upper end
-- unchanged_frac           double  0..1   share that stayed what it was
-- unchanged_low            double  0..1   lower end
-- unchanged_high           double  0..1   upper end
-- clean_correct_frac       double  0..1   share right without a patch
-- attack_correct_frac      double  0..1   share right under attack
-- blank_count              bigint  count  of these images, with a blank control
-- blank_changed_frac       double  0..1   blank patch: changed to the text's class
-- blank_changed_low        double  0..1   lower end
-- blank_changed_high       double  0..1   upper end
-- blank_changed_away_frac  double  0..1   blank patch: changed to a third class
-- blank_correct_frac       double  0..1   blank patch: share right
-- word_effect_frac         double  -1..1  changed minus blank_changed, both over the
--                                         images that have the control
-- right_word_count         bigint  count  of these images, with a right-word control
-- right_word_changed_frac  double  0..1   right word: changed to the attack's class
-- right_word_correct_frac  double  0..1   right word: share right
-- probability_change       double  -1..1  mean change of P(target) against clean
with

pairs as (
    select
        *,
        target_probability - clean_target_probability as probability_change,
        list_contains(classes, concept) as has_class,
    from typographic_pairs
    inner join raw_class_sets using (dataset, run_id, class_set)
    where outcome is not null
),

counted as (
    select
        dataset, model_id, run_id, class_set, attack_text, target_class, placement,
        count(*) as image_count,
        count(*) filter (where is_assumed) as assumed_count,
        avg(covered_frac) as covered_frac,
        count(*) filter (where outcome = 'changed') as changed_count,
        count(*) filter (where outcome = 'already') as already_count,
        count(*) filter (where outcome = 'changed_away') as changed_away_count,
        count(*) filter (where outcome = 'unchanged') as unchanged_count,
        avg((clean_class = concept)::integer)
        filter (where has_class and not is_assumed) as clean_correct_frac,
        avg((predicted_class = concept)::integer) filter (where has_class)
            as attack_correct_frac,
        count(blank_outcome) as blank_count,
        count(*) filter (where blank_outcome is not null and outcome = 'changed')
            as paired_changed_count,
        count(*) filter (where blank_outcome = 'changed') as blank_changed_count,
        count(*) filter (where blank_outcome = 'changed_away')
            as blank_changed_away_count,
        avg((blank_class = concept)::integer) filter (where has_class)
            as blank_correct_frac,
        count(right_word_outcome) as right_word_count,
        count(*) filter (where right_word_outcome = 'changed')
            as right_word_changed_count,
        avg((right_word_class = concept)::integer) filter (where has_class)
            as right_word_correct_frac,
        avg(probability_change) as probability_change,
    from pairs
    group by all
)

select
    dataset, model_id, run_id, class_set, attack_text, target_class, placement,
    image_count, assumed_count, covered_frac,
    changed_count / image_count as changed_frac,
    wilson_low(changed_count, image_count) as changed_low,
    wilson_high(changed_count, image_count) as changed_high,
    already_count / image_count as already_frac,
    wilson_low(already_count, image_count) as already_low,
    wilson_high(already_count, image_count) as already_high,
    changed_away_count / image_count as changed_away_frac,
    wilson_low(changed_away_count, image_count) as changed_away_low,
    wilson_high(changed_away_count, image_count) as changed_away_high,
    unchanged_count / image_count as unchanged_frac,
    wilson_low(unchanged_count, image_count) as unchanged_low,
    wilson_high(unchanged_count, image_count) as unchanged_high,
    clean_correct_frac, attack_correct_frac, blank_count,
    blank_changed_count / nullif(blank_count, 0) as blank_changed_frac,
    wilson_low(blank_changed_count, blank_count) as blank_changed_low,
    wilson_high(blank_changed_count, blank_count) as blank_changed_high,
    blank_changed_away_count / nullif(blank_count, 0) as blank_changed_away_frac,
    blank_correct_frac,
    (paired_changed_count - blank_changed_count) / nullif(blank_count, 0)
        as word_effect_frac,
    right_word_count,
    right_word_changed_count / nullif(right_word_count, 0) as right_word_changed_frac,
    right_word_correct_frac, probability_change,
from counted;
