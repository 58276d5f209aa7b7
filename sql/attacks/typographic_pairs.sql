-- view:    typographic_pairs
-- grain:   one row per attacked image, run and class set
-- key:     dataset, run_id, class_set, example_id
-- reads:   stg_stimuli, stg_examples, stg_runs, raw_class_sets, class_predictions,
--          class_scores
-- purpose: Each attacked image beside its clean image and its controls, as classified.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030, section Typographic Attacks
--
-- Only class sets that hold the attack's class count. The clean image is the one with
-- the same base_key; where there is none, or the run could not use it, the image's own
-- concept is taken for its class (is_assumed). Of several blank patches, or patches
-- with the right word, at the same place, the one made for the same attack text and
-- nearest in size is taken. An attack without either clean image or concept has no
-- outcome.
--
-- column                    type     unit  meaning
-- dataset, model_id, run_id
-- class_set                 varchar        the classes that it was chosen from
-- example_id                bigint   id    the attacked image
-- concept                   varchar        what the image shows
-- attack_text               varchar        what is written on it
-- target_class              varchar        the class of that text
-- placement                 varchar        where it is written; 'unknown' if not stated
-- covered_frac
-- clean_example_id          bigint   id    the image without a patch, or null
-- blank_example_id          bigint   id    with the same patch, blank, or null
-- right_word_example_id     bigint   id    with the right word on the patch, or null
-- predicted_class           varchar        class of the attacked image
-- clean_class               varchar        class of the clean image, or its concept
-- blank_class               varchar        class with the blank patch
-- right_word_class          varchar        class with the right word
-- is_assumed                boolean        clean_class is the concept, not a prediction
-- outcome                   varchar        changed (to the text's class), already (was
--                                          it before), changed_away (to a third class),
--                                          unchanged
-- blank_outcome             varchar        the same for the blank patch
-- right_word_outcome        varchar        the same for the right word
-- target_probability        float    0..1  P(target class), attacked
-- clean_target_probability  float    0..1  P(target class), clean
-- blank_target_probability  float    0..1  P(target class), blank patch
with

versions as (
    select
        dataset, example_id, control, concept, attack_text,
        coalesce(attack_concept, attack_text) as target_class,
        coalesce(placement, 'unknown') as placement,
        covered_frac,
        coalesce(base_key, shard_key) as base_key,
    from stg_stimuli
    inner join stg_examples using (dataset, example_id)
    where stimulus = 'typographic'
),

attacks as (
    select *
    from versions
    where control = 'attack' and attack_text is not null
),

candidates as (
    select
        dataset, attacks.example_id as attack_id, versions.control, versions.example_id,
        attacks.target_class as class_name,
    from attacks
    inner join versions using (dataset, base_key)
    where
        versions.control = 'clean'
        or (
            versions.control in ('blank', 'right_word')
            and versions.placement = attacks.placement
            and coalesce(versions.attack_text, attacks.attack_text)
            = attacks.attack_text
        )
    qualify
        row_number() over (
            partition by dataset, attacks.example_id, versions.control
            order by
                versions.attack_text is null,
                abs(versions.covered_frac - attacks.covered_frac),
                versions.example_id
        ) = 1
),

compared as (
    select
        dataset, example_id as attack_id, control, example_id,
        target_class as class_name,
    from attacks
    union all
    select *
    from candidates
),

classified as (
    select
        dataset, run_id, class_set, attack_id as example_id,
        max(example_id) filter (where control = 'clean') as clean_example_id,
        max(example_id) filter (where control = 'blank') as blank_example_id,
        max(example_id) filter (where control = 'right_word') as right_word_example_id,
        max(predicted_class) filter (where control = 'attack') as predicted_class,
        max(predicted_class) filter (where control = 'clean') as clean_class,
        max(predicted_class) filter (where control = 'blank') as blank_class,
        max(predicted_class) filter (where control = 'right_word') as right_word_class,
        max(probability) filter (where control = 'attack') as target_probability,
        max(probability) filter (where control = 'clean') as clean_target_probability,
        max(probability) filter (where control = 'blank') as blank_target_probability,
    from compared
    inner join raw_class_sets using (dataset)
    inner join class_predictions using (dataset, run_id, class_set, example_id)
    left join class_scores using (dataset, run_id, class_set, example_id, class_name)
    where list_contains(classes, class_name)
    group by all
    having bool_or(control = 'attack' and class_scores.dataset is not null)
),

known as (
    select
        * replace (coalesce(clean_class, concept) as clean_class),
        clean_example_id is null as is_assumed,
    from classified
    inner join attacks using (dataset, example_id)
    inner join stg_runs using (dataset, run_id)
)

select
    dataset, model_id, run_id, class_set, example_id, concept, attack_text,
    target_class, placement, covered_frac, clean_example_id, blank_example_id,
    right_word_example_id, predicted_class, clean_class, blank_class, right_word_class,
    is_assumed,
    attack_outcome(clean_class, predicted_class, target_class) as outcome,
    attack_outcome(clean_class, blank_class, target_class) as blank_outcome,
    attack_outcome(clean_class, right_word_class, target_class) as right_word_outcome,
    target_probability, clean_target_probability, blank_target_probability,
from known;
