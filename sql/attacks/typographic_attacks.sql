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
-- column                   type     unit    meaning
-- dataset                  varchar          name of the dataset
-- model_id                 varchar          architecture:pretrained
-- run_id                   varchar          the run
-- class_set                varchar          the classes that it was chosen from
-- attack_text              varchar          what was written
-- target_class             varchar          the class of that text
-- placement                varchar          where it was written
-- image_count              bigint   count   attacked images with an outcome
-- assumed_count            bigint   count   of these, without a clean image: see pairs
-- covered_frac             double   0..1    mean share of the pixels under the patch
-- changed_frac             double   0..1    share changed to the text's class
-- changed_low              double   0..1    lower end
-- changed_high             double   0..1    upper end
-- already_frac             double   0..1    share of the text's class before
-- already_low              double   0..1    lower end
-- already_high             double   0..1    upper end
-- changed_away_frac        double   0..1    share changed to a third class
-- changed_away_low         double   0..1    lower end
-- changed_away_high        double   0..1    upper end
-- unchanged_frac           double   0..1    share that stayed what it was
-- unchanged_low            double   0..1    lower end
-- unchanged_high           double   0..1    upper end
-- clean_correct_frac       double   0..1    share right without a patch
-- attack_correct_frac      double   0..1    share right under attack
-- blank_count              bigint   count   of these images, with a blank control
-- blank_changed_frac       double   0..1    blank patch: changed to the text's class
-- blank_changed_low        double   0..1    lower end
-- blank_changed_high       double   0..1    upper end
-- blank_changed_away_frac  double   0..1    blank patch: changed to a third class
-- blank_correct_frac       double   0..1    blank patch: share right
-- word_effect_frac         double   -1..1   changed minus blank_changed, both over the
--                                           images that have the control
-- right_word_count         bigint   count   of these images, with a right-word control
-- right_word_changed_frac  double   0..1    right word: changed to the attack's class
-- right_word_correct_frac  double   0..1    right word: share right
-- probability_change       double   -1..1   mean change of P(target) against clean
with

pairs as (
    select
        typographic_pairs.dataset,
        typographic_pairs.model_id,
        typographic_pairs.run_id,
        typographic_pairs.class_set,
        typographic_pairs.attack_text,
        typographic_pairs.target_class,
        typographic_pairs.placement,
        typographic_pairs.covered_frac,
        typographic_pairs.is_assumed,
        typographic_pairs.concept,
        typographic_pairs.predicted_class,
        typographic_pairs.clean_class,
        typographic_pairs.blank_class,
        typographic_pairs.right_word_class,
        typographic_pairs.outcome,
        typographic_pairs.blank_outcome,
        typographic_pairs.right_word_outcome,
        typographic_pairs.target_probability
        - typographic_pairs.clean_target_probability as probability_change,
        list_contains(
            raw_class_sets.classes, typographic_pairs.concept
        ) as has_class,
    from typographic_pairs
    inner join raw_class_sets
        on
            typographic_pairs.dataset = raw_class_sets.dataset
            and typographic_pairs.run_id = raw_class_sets.run_id
            and typographic_pairs.class_set = raw_class_sets.class_set
    where typographic_pairs.outcome is not null
),

counted as (
    select
        pairs.dataset,
        pairs.model_id,
        pairs.run_id,
        pairs.class_set,
        pairs.attack_text,
        pairs.target_class,
        pairs.placement,
        count(*) as image_count,
        count(*) filter (where pairs.is_assumed) as assumed_count,
        avg(pairs.covered_frac) as covered_frac,
        count(*) filter (where pairs.outcome = 'changed') as changed_count,
        count(*) filter (where pairs.outcome = 'already') as already_count,
        count(*) filter (where pairs.outcome = 'changed_away') as changed_away_count,
        count(*) filter (where pairs.outcome = 'unchanged') as unchanged_count,
        avg((pairs.clean_class = pairs.concept)::integer) filter (
            where pairs.has_class and not pairs.is_assumed
        ) as clean_correct_frac,
        avg((pairs.predicted_class = pairs.concept)::integer) filter (
            where pairs.has_class
        ) as attack_correct_frac,
        count(pairs.blank_outcome) as blank_count,
        count(*) filter (
            where pairs.blank_outcome is not null and pairs.outcome = 'changed'
        ) as paired_changed_count,
        count(*) filter (where pairs.blank_outcome = 'changed') as blank_changed_count,
        count(*) filter (
            where pairs.blank_outcome = 'changed_away'
        ) as blank_changed_away_count,
        avg((pairs.blank_class = pairs.concept)::integer) filter (
            where pairs.has_class
        ) as blank_correct_frac,
        count(pairs.right_word_outcome) as right_word_count,
        count(*) filter (
            where pairs.right_word_outcome = 'changed'
        ) as right_word_changed_count,
        avg((pairs.right_word_class = pairs.concept)::integer) filter (
            where pairs.has_class
        ) as right_word_correct_frac,
        avg(pairs.probability_change) as probability_change,
    from pairs
    group by all
)

select
    counted.dataset,
    counted.model_id,
    counted.run_id,
    counted.class_set,
    counted.attack_text,
    counted.target_class,
    counted.placement,
    counted.image_count,
    counted.assumed_count,
    counted.covered_frac,
    counted.changed_count / counted.image_count as changed_frac,
    wilson_low(counted.changed_count, counted.image_count) as changed_low,
    wilson_high(counted.changed_count, counted.image_count) as changed_high,
    counted.already_count / counted.image_count as already_frac,
    wilson_low(counted.already_count, counted.image_count) as already_low,
    wilson_high(counted.already_count, counted.image_count) as already_high,
    counted.changed_away_count / counted.image_count as changed_away_frac,
    wilson_low(counted.changed_away_count, counted.image_count) as changed_away_low,
    wilson_high(counted.changed_away_count, counted.image_count) as changed_away_high,
    counted.unchanged_count / counted.image_count as unchanged_frac,
    wilson_low(counted.unchanged_count, counted.image_count) as unchanged_low,
    wilson_high(counted.unchanged_count, counted.image_count) as unchanged_high,
    counted.clean_correct_frac,
    counted.attack_correct_frac,
    counted.blank_count,
    counted.blank_changed_count
    / nullif(counted.blank_count, 0) as blank_changed_frac,
    wilson_low(counted.blank_changed_count, counted.blank_count) as blank_changed_low,
    wilson_high(counted.blank_changed_count, counted.blank_count) as blank_changed_high,
    counted.blank_changed_away_count
    / nullif(counted.blank_count, 0) as blank_changed_away_frac,
    counted.blank_correct_frac,
    (counted.paired_changed_count - counted.blank_changed_count)
    / nullif(counted.blank_count, 0) as word_effect_frac,
    counted.right_word_count,
    counted.right_word_changed_count
    / nullif(counted.right_word_count, 0) as right_word_changed_frac,
    counted.right_word_correct_frac,
    counted.probability_change,
from counted;
