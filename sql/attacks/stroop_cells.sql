-- view:    stroop_cells
-- grain:   one row per run, class set, colour of the ink and colour of the word
-- key:     dataset, run_id, class_set, ink_name, word_name
-- reads:   stg_stimuli, stg_runs, raw_class_sets, class_predictions, class_scores
-- purpose: A colour word in coloured ink: does the model answer with word or ink?
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030, section The Stroop effect;
--          Stroop 1935, doi:10.1037/h0054651
--
-- Class sets that hold both colours count. A neutral card has no colour word. On a
-- congruent card, word and ink are the same.
--
-- column           type     unit   meaning
-- dataset          varchar         name of the dataset
-- model_id         varchar         architecture:pretrained
-- run_id           varchar         the run
-- class_set        varchar         the classes that it was chosen from
-- ink_name         varchar         colour of the ink
-- word_name        varchar         colour that the word names; empty: a neutral card
-- card_kind        varchar         incongruent, congruent or neutral
-- card_count       bigint   count  cards
-- predicted_class  varchar         class that most cards get; ties by name
-- word_count       bigint   count  cards predicted as the word
-- ink_count        bigint   count  cards predicted as the ink
-- word_probability double   0..1   mean P(word); null on neutral cards
-- ink_probability  double   0..1   mean P(ink)
-- winner           varchar         word, ink, or other: what predicted_class is; both
--                                  on congruent cards
with

cards as (
    select
        stg_stimuli.dataset,
        raw_class_sets.run_id,
        raw_class_sets.class_set,
        stg_stimuli.example_id,
        stg_stimuli.ink_name,
        coalesce(stg_stimuli.word_name, '') as word_name,
    from stg_stimuli
    inner join raw_class_sets
        on
            stg_stimuli.dataset = raw_class_sets.dataset
            and list_contains(raw_class_sets.classes, stg_stimuli.ink_name)
            and list_contains(
                raw_class_sets.classes,
                coalesce(stg_stimuli.word_name, stg_stimuli.ink_name)
            )
    where stg_stimuli.stimulus = 'stroop'
),

classified as (
    select
        cards.dataset,
        cards.run_id,
        cards.class_set,
        cards.ink_name,
        cards.word_name,
        class_predictions.predicted_class,
        words.probability as word_probability,
        inks.probability as ink_probability,
    from cards
    inner join class_predictions
        on
            cards.dataset = class_predictions.dataset
            and cards.run_id = class_predictions.run_id
            and cards.class_set = class_predictions.class_set
            and cards.example_id = class_predictions.example_id
    inner join class_scores as inks
        on
            cards.dataset = inks.dataset
            and cards.run_id = inks.run_id
            and cards.class_set = inks.class_set
            and cards.example_id = inks.example_id
            and cards.ink_name = inks.class_name
    left join class_scores as words
        on
            cards.dataset = words.dataset
            and cards.run_id = words.run_id
            and cards.class_set = words.class_set
            and cards.example_id = words.example_id
            and cards.word_name = words.class_name
),

votes as (
    select
        classified.dataset,
        classified.run_id,
        classified.class_set,
        classified.ink_name,
        classified.word_name,
        classified.predicted_class,
        count(*) as card_count,
        sum(classified.word_probability) as word_sum,
        sum(classified.ink_probability) as ink_sum,
        row_number() over (
            partition by
                classified.dataset,
                classified.run_id,
                classified.class_set,
                classified.ink_name,
                classified.word_name
            order by count(*) desc, classified.predicted_class
        ) as vote_rank,
    from classified
    group by
        classified.dataset,
        classified.run_id,
        classified.class_set,
        classified.ink_name,
        classified.word_name,
        classified.predicted_class
),

cells as (
    select
        votes.dataset,
        votes.run_id,
        votes.class_set,
        votes.ink_name,
        votes.word_name,
        sum(votes.card_count)::bigint as card_count,
        max(votes.predicted_class) filter (
            where votes.vote_rank = 1
        ) as predicted_class,
        coalesce(
            sum(votes.card_count) filter (
                where votes.predicted_class = votes.word_name
            ),
            0
        )::bigint as word_count,
        coalesce(
            sum(votes.card_count) filter (
                where votes.predicted_class = votes.ink_name
            ),
            0
        )::bigint as ink_count,
        sum(votes.word_sum) / sum(votes.card_count) as word_probability,
        sum(votes.ink_sum) / sum(votes.card_count) as ink_probability,
    from votes
    group by all
)

select
    cells.dataset,
    stg_runs.model_id,
    cells.run_id,
    cells.class_set,
    cells.ink_name,
    cells.word_name,
    case cells.word_name
        when '' then 'neutral'
        when cells.ink_name then 'congruent'
        else 'incongruent'
    end as card_kind,
    cells.card_count,
    cells.predicted_class,
    cells.word_count,
    cells.ink_count,
    cells.word_probability,
    cells.ink_probability,
    case
        when
            cells.predicted_class = cells.word_name
            and cells.predicted_class = cells.ink_name
            then 'both'
        when cells.predicted_class = cells.word_name then 'word'
        when cells.predicted_class = cells.ink_name then 'ink'
        else 'other'
    end as winner,
from cells
inner join stg_runs
    on
        cells.dataset = stg_runs.dataset
        and cells.run_id = stg_runs.run_id;
