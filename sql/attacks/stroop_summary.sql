-- view:    stroop_summary
-- grain:   one row per run and class set that Stroop cards were classified with
-- key:     dataset, run_id, class_set
-- reads:   stroop_cells
-- purpose: How often word or ink wins where they differ, and whether colours are seen.
-- cite:    Goh et al. 2021, doi:10.23915/distill.00030: the word in 49 of 49 cells
--
-- Cells count once, however many cards they have. Without neutral cards that are named
-- right, a win of the word may only mean that the model cannot see the colour of ink.
--
-- column                    type     unit   meaning
-- dataset                   varchar         name of the dataset
-- model_id                  varchar         architecture:pretrained
-- run_id                    varchar         the run
-- class_set                 varchar         the classes that it was chosen from
-- cell_count                bigint   count  incongruent cells: ink and word differ
-- word_cell_count           bigint   count  of these, won by the word
-- ink_cell_count            bigint   count  of these, won by the ink
-- other_cell_count          bigint   count  of these, won by a third colour
-- likelier_word_cell_count  bigint   count  of these, with P(word) above P(ink)
-- word_cell_frac            double   0..1   share of the cells that the word wins
-- word_cell_low             double   0..1   lower end of Wilson's 95 % interval
-- word_cell_high            double   0..1   upper end
-- card_count                bigint   count  cards in those cells
-- word_card_frac            double   0..1   share of the cards predicted as the word
-- ink_card_frac             double   0..1   share of the cards predicted as the ink
-- congruent_count           bigint   count  congruent cards
-- congruent_correct_frac    double   0..1   share of them predicted right
-- neutral_count             bigint   count  neutral cards
-- neutral_correct_frac      double   0..1   share of them predicted as the ink
with

counted as (
    select
        stroop_cells.dataset,
        stroop_cells.model_id,
        stroop_cells.run_id,
        stroop_cells.class_set,
        count(*) filter (where stroop_cells.card_kind = 'incongruent') as cell_count,
        count(*) filter (where stroop_cells.winner = 'word') as word_cell_count,
        count(*) filter (
            where
            stroop_cells.card_kind = 'incongruent' and stroop_cells.winner = 'ink'
        ) as ink_cell_count,
        count(*) filter (
            where
            stroop_cells.card_kind = 'incongruent' and stroop_cells.winner = 'other'
        ) as other_cell_count,
        count(*) filter (
            where
            stroop_cells.card_kind = 'incongruent'
            and stroop_cells.word_probability > stroop_cells.ink_probability
        ) as likelier_word_cell_count,
        coalesce(sum(stroop_cells.card_count) filter (
            where stroop_cells.card_kind = 'incongruent'
        ), 0)::bigint as card_count,
        sum(stroop_cells.word_count) filter (
            where stroop_cells.card_kind = 'incongruent'
        ) as word_count,
        sum(stroop_cells.ink_count) filter (
            where stroop_cells.card_kind = 'incongruent'
        ) as ink_count,
        coalesce(sum(stroop_cells.card_count) filter (
            where stroop_cells.card_kind = 'congruent'
        ), 0)::bigint as congruent_count,
        sum(stroop_cells.ink_count) filter (
            where stroop_cells.card_kind = 'congruent'
        ) as congruent_correct_count,
        coalesce(sum(stroop_cells.card_count) filter (
            where stroop_cells.card_kind = 'neutral'
        ), 0)::bigint as neutral_count,
        sum(stroop_cells.ink_count) filter (
            where stroop_cells.card_kind = 'neutral'
        ) as neutral_correct_count,
    from stroop_cells
    group by all
)

select
    counted.dataset,
    counted.model_id,
    counted.run_id,
    counted.class_set,
    counted.cell_count,
    counted.word_cell_count,
    counted.ink_cell_count,
    counted.other_cell_count,
    counted.likelier_word_cell_count,
    counted.word_cell_count / nullif(counted.cell_count, 0) as word_cell_frac,
    wilson_low(counted.word_cell_count, counted.cell_count) as word_cell_low,
    wilson_high(counted.word_cell_count, counted.cell_count) as word_cell_high,
    counted.card_count,
    counted.word_count / nullif(counted.card_count, 0)::double as word_card_frac,
    counted.ink_count / nullif(counted.card_count, 0)::double as ink_card_frac,
    counted.congruent_count,
    counted.congruent_correct_count
    / nullif(counted.congruent_count, 0)::double as congruent_correct_frac,
    counted.neutral_count,
    counted.neutral_correct_count
    / nullif(counted.neutral_count, 0)::double as neutral_correct_frac,
from counted;
