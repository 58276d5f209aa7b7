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
-- column            type     unit   meaning
-- dataset, model_id, run_id
-- class_set         varchar         the classes that it was chosen from
-- ink_name          varchar         colour of the ink
-- word_name         varchar         colour that the word names; empty: a neutral card
-- card_kind         varchar         incongruent, congruent or neutral
-- card_count        bigint   count  cards
-- predicted_class   varchar         class that most cards get; ties by name
-- word_count        bigint   count  cards predicted as the word
-- ink_count         bigint   count  cards predicted as the ink
-- word_probability  double   0..1   mean P(word); null on neutral cards
-- ink_probability   double   0..1   mean P(ink)
-- winner            varchar         word, ink, or other: what predicted_class is; both
--                                   on congruent cards
with

cards as (
    select
        dataset, run_id, class_set, example_id, ink_name,
        coalesce(word_name, '') as word_name,
    from stg_stimuli
    inner join raw_class_sets using (dataset)
    where
        stimulus = 'stroop'
        and list_contains(classes, ink_name)
        and list_contains(classes, coalesce(stg_stimuli.word_name, ink_name))
),

classified as (
    select
        cards.*,
        predicted_class,
        words.probability as word_probability,
        inks.probability as ink_probability,
    from cards
    inner join class_predictions using (dataset, run_id, class_set, example_id)
    inner join class_scores as inks
        on
            cards.dataset = inks.dataset
            and cards.run_id = inks.run_id
            and cards.class_set = inks.class_set
            and cards.example_id = inks.example_id
            and ink_name = inks.class_name
    left join class_scores as words
        on
            cards.dataset = words.dataset
            and cards.run_id = words.run_id
            and cards.class_set = words.class_set
            and cards.example_id = words.example_id
            and word_name = words.class_name
),

votes as (
    select
        dataset, run_id, class_set, ink_name, word_name, predicted_class,
        count(*) as card_count,
        sum(word_probability) as word_sum,
        sum(ink_probability) as ink_sum,
        row_number() over (
            partition by dataset, run_id, class_set, ink_name, word_name
            order by count(*) desc, predicted_class
        ) as vote_rank,
    from classified
    group by dataset, run_id, class_set, ink_name, word_name, predicted_class
),

cells as (
    select
        dataset, run_id, class_set, ink_name, word_name,
        sum(card_count)::bigint as card_count,
        max(predicted_class) filter (where vote_rank = 1) as predicted_class,
        coalesce(
            sum(card_count) filter (where predicted_class = word_name), 0
        )::bigint as word_count,
        coalesce(
            sum(card_count) filter (where predicted_class = ink_name), 0
        )::bigint as ink_count,
        sum(word_sum) / sum(card_count) as word_probability,
        sum(ink_sum) / sum(card_count) as ink_probability,
    from votes
    group by all
)

select
    dataset, model_id, run_id, class_set, ink_name, word_name,
    case word_name
        when '' then 'neutral'
        when ink_name then 'congruent'
        else 'incongruent'
    end as card_kind,
    card_count, predicted_class, word_count, ink_count, word_probability,
    ink_probability,
    case
        when predicted_class = word_name and predicted_class = ink_name then 'both'
        when predicted_class = word_name then 'word'
        when predicted_class = ink_name then 'ink'
        else 'other'
    end as winner,
from cells
inner join stg_runs using (dataset, run_id);
