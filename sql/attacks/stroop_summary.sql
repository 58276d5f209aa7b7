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
-- column                    type    unit   meaning
-- dataset, model_id, run_id, class_set
-- cell_count                bigint  count  incongruent cells: ink and word differ
-- word_cell_count           bigint  count  of these, won by the word
-- ink_cell_count            bigint  count  of these, won by the ink
-- other_cell_count          bigint  count  of these, won by a third colour
-- likelier_word_cell_count  bigint  count  of these, with P(word) above P(ink)
-- word_cell_frac            double  0..1   share of the cells that the word wins
-- word_cell_low             double  0..1   lower end of Wilson's 95 % interval
-- word_cell_high            double  0..1   upper end
-- card_count                bigint  count  cards in those cells
-- word_card_frac            double  0..1   share of the cards predicted as the word
-- ink_card_frac             double  0..1   share of the cards predicted as the ink
-- congruent_count           bigint  count  congruent cards
-- congruent_correct_frac    double  0..1   share of them predicted right
-- neutral_count             bigint  count  neutral cards
-- neutral_correct_frac      double  0..1   share of them predicted as the ink
with

counted as (
    select
        dataset, model_id, run_id, class_set,
        count(*) filter (where card_kind = 'incongruent') as cell_count,
        count(*) filter (where winner = 'word') as word_cell_count,
        count(*) filter (where card_kind = 'incongruent' and winner = 'ink')
            as ink_cell_count,
        count(*) filter (where card_kind = 'incongruent' and winner = 'other')
            as other_cell_count,
        count(*) filter (
            where card_kind = 'incongruent' and word_probability > ink_probability
        ) as likelier_word_cell_count,
        coalesce(
            sum(card_count) filter (where card_kind = 'incongruent'), 0
        )::bigint as card_count,
        sum(word_count) filter (where card_kind = 'incongruent')
            as word_count,
        sum(ink_count) filter (where card_kind = 'incongruent')
            as ink_count,
        coalesce(
            sum(card_count) filter (where card_kind = 'congruent'), 0
        )::bigint as congruent_count,
        sum(ink_count) filter (where card_kind = 'congruent')
            as congruent_correct_count,
        coalesce(
            sum(card_count) filter (where card_kind = 'neutral'), 0
        )::bigint as neutral_count,
        sum(ink_count) filter (where card_kind = 'neutral')
            as neutral_correct_count,
    from stroop_cells
    group by all
)

select
    dataset, model_id, run_id, class_set, cell_count, word_cell_count, ink_cell_count,
    other_cell_count, likelier_word_cell_count,
    word_cell_count / nullif(cell_count, 0) as word_cell_frac,
    wilson_low(word_cell_count, cell_count) as word_cell_low,
    wilson_high(word_cell_count, cell_count) as word_cell_high,
    card_count,
    word_count / nullif(card_count, 0)::double as word_card_frac,
    ink_count / nullif(card_count, 0)::double as ink_card_frac,
    congruent_count,
    congruent_correct_count / nullif(congruent_count, 0)::double
        as congruent_correct_frac,
    neutral_count,
    neutral_correct_count / nullif(neutral_count, 0)::double as neutral_correct_frac,
from counted;
