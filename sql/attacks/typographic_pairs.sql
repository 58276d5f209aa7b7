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
-- dataset                   varchar        name of the dataset
-- model_id                  varchar        architecture:pretrained
-- run_id                    varchar        the run
-- class_set                 varchar        the classes that it was chosen from
-- example_id                bigint   id    the attacked image
-- concept                   varchar        what the image shows
-- attack_text               varchar        what is written on it
-- target_class              varchar        the class of that text
-- placement                 varchar        where it is written; 'unknown' if not stated
-- covered_frac              float    0..1  share of the pixels that the patch covers
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
        stg_stimuli.dataset,
        stg_stimuli.example_id,
        stg_stimuli.control,
        stg_stimuli.concept,
        stg_stimuli.attack_text,
        coalesce(stg_stimuli.attack_concept, stg_stimuli.attack_text) as target_class,
        coalesce(stg_stimuli.placement, 'unknown') as placement,
        stg_stimuli.covered_frac,
        coalesce(stg_stimuli.base_key, stg_examples.shard_key) as base_key,
    from stg_stimuli
    inner join stg_examples
        on
            stg_stimuli.dataset = stg_examples.dataset
            and stg_stimuli.example_id = stg_examples.example_id
    where stg_stimuli.stimulus = 'typographic'
),

attacks as (
    select
        versions.dataset,
        versions.example_id,
        versions.concept,
        versions.attack_text,
        versions.target_class,
        versions.placement,
        versions.covered_frac,
        versions.base_key,
    from versions
    where versions.control = 'attack' and versions.attack_text is not null
),

candidates as (
    select
        attacks.dataset,
        attacks.example_id,
        versions.control,
        versions.example_id as control_id,
        row_number() over (
            partition by attacks.dataset, attacks.example_id, versions.control
            order by
                versions.attack_text is null,
                abs(versions.covered_frac - attacks.covered_frac),
                versions.example_id
        ) as candidate_rank,
    from attacks
    inner join versions
        on
            attacks.dataset = versions.dataset
            and attacks.base_key = versions.base_key
            and (
                versions.control = 'clean'
                or (
                    versions.control in ('blank', 'right_word')
                    and versions.placement = attacks.placement
                    and coalesce(versions.attack_text, attacks.attack_text)
                    = attacks.attack_text
                )
            )
),

controls as (
    select
        candidates.dataset,
        candidates.example_id,
        max(candidates.control_id) filter (
            where candidates.control = 'clean'
        ) as clean_example_id,
        max(candidates.control_id) filter (
            where candidates.control = 'blank'
        ) as blank_example_id,
        max(candidates.control_id) filter (
            where candidates.control = 'right_word'
        ) as right_word_example_id,
    from candidates
    where candidates.candidate_rank = 1
    group by candidates.dataset, candidates.example_id
),

joined as (
    select
        attacks.dataset,
        raw_class_sets.run_id,
        raw_class_sets.class_set,
        attacks.example_id,
        attacks.concept,
        attacks.attack_text,
        attacks.target_class,
        attacks.placement,
        attacks.covered_frac,
        controls.clean_example_id,
        controls.blank_example_id,
        controls.right_word_example_id,
    from attacks
    inner join raw_class_sets
        on
            attacks.dataset = raw_class_sets.dataset
            and list_contains(raw_class_sets.classes, attacks.target_class)
    left join controls
        on
            attacks.dataset = controls.dataset
            and attacks.example_id = controls.example_id
),

classified as (
    select
        joined.dataset,
        joined.run_id,
        joined.class_set,
        joined.example_id,
        joined.concept,
        joined.attack_text,
        joined.target_class,
        joined.placement,
        joined.covered_frac,
        clean.example_id as clean_example_id,
        blank.example_id as blank_example_id,
        right_word.example_id as right_word_example_id,
        attacked.predicted_class,
        coalesce(clean.predicted_class, joined.concept) as clean_class,
        blank.predicted_class as blank_class,
        right_word.predicted_class as right_word_class,
        clean.example_id is null as is_assumed,
    from joined
    inner join class_predictions as attacked
        on
            joined.dataset = attacked.dataset
            and joined.run_id = attacked.run_id
            and joined.class_set = attacked.class_set
            and joined.example_id = attacked.example_id
    left join class_predictions as clean
        on
            joined.dataset = clean.dataset
            and joined.run_id = clean.run_id
            and joined.class_set = clean.class_set
            and joined.clean_example_id = clean.example_id
    left join class_predictions as blank
        on
            joined.dataset = blank.dataset
            and joined.run_id = blank.run_id
            and joined.class_set = blank.class_set
            and joined.blank_example_id = blank.example_id
    left join class_predictions as right_word
        on
            joined.dataset = right_word.dataset
            and joined.run_id = right_word.run_id
            and joined.class_set = right_word.class_set
            and joined.right_word_example_id = right_word.example_id
),

target_scores as (
    select
        class_scores.dataset,
        class_scores.run_id,
        class_scores.class_set,
        class_scores.example_id,
        class_scores.class_name,
        class_scores.probability,
    from class_scores
)

select
    classified.dataset,
    stg_runs.model_id,
    classified.run_id,
    classified.class_set,
    classified.example_id,
    classified.concept,
    classified.attack_text,
    classified.target_class,
    classified.placement,
    classified.covered_frac,
    classified.clean_example_id,
    classified.blank_example_id,
    classified.right_word_example_id,
    classified.predicted_class,
    classified.clean_class,
    classified.blank_class,
    classified.right_word_class,
    classified.is_assumed,
    attack_outcome(
        classified.clean_class, classified.predicted_class, classified.target_class
    ) as outcome,
    attack_outcome(
        classified.clean_class, classified.blank_class, classified.target_class
    ) as blank_outcome,
    attack_outcome(
        classified.clean_class, classified.right_word_class, classified.target_class
    ) as right_word_outcome,
    attacked.probability as target_probability,
    clean.probability as clean_target_probability,
    blank.probability as blank_target_probability,
from classified
inner join stg_runs
    on
        classified.dataset = stg_runs.dataset
        and classified.run_id = stg_runs.run_id
inner join target_scores as attacked
    on
        classified.dataset = attacked.dataset
        and classified.run_id = attacked.run_id
        and classified.class_set = attacked.class_set
        and classified.example_id = attacked.example_id
        and classified.target_class = attacked.class_name
left join target_scores as clean
    on
        classified.dataset = clean.dataset
        and classified.run_id = clean.run_id
        and classified.class_set = clean.class_set
        and classified.clean_example_id = clean.example_id
        and classified.target_class = clean.class_name
left join target_scores as blank
    on
        classified.dataset = blank.dataset
        and classified.run_id = blank.run_id
        and classified.class_set = blank.class_set
        and classified.blank_example_id = blank.example_id
        and classified.target_class = blank.class_name;
