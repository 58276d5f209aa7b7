-- Functions of statistical tests. Run before the views; not views themselves.
--
-- The hypergeometric distribution: of population examples, marked show a concept; drawn
-- of them are the top examples, without replacement; X is how many of these show it.
-- It is symmetric in drawn and marked, so the sums run over the smaller one.
--
-- hypergeometric_log_pmf: ln P(X = hits), for a possible number of hits. A sum of logs
-- of ratios: differences of lgamma lose nine digits at a population of ten million.
create or replace macro hypergeometric_log_pmf(population, marked, drawn, hits) as
    coalesce(
        list_sum(
            list_transform(
                range(0, hits::bigint),
                lambda j: ln(
                    (greatest(marked, drawn) - j)::double * (least(marked, drawn) - j)
                    / ((population - j)::double * (j + 1))
                )
            )
        ),
        0.0
    )
    + coalesce(
        list_sum(
            list_transform(
                range(0, (least(marked, drawn) - hits)::bigint),
                lambda j: ln(
                    (population - greatest(marked, drawn) - j)::double
                    / (population - hits - j)
                )
            )
        ),
        0.0
    );

-- hypergeometric_log_tail: ln P(X >= hits). Above the mean the terms from hits upward
-- fall, and are summed by Horner's rule; below it, one minus the falling terms under
-- hits. No subtraction of near equals on either side. hits = 0, or as many as must be:
-- ln 1.
create or replace macro hypergeometric_log_tail(population, marked, drawn, hits) as
    case
        when hits <= greatest(0, marked + drawn - population) then 0.0
        when hits > least(marked, drawn) then '-infinity'::double
        when hits::double * population > marked::double * drawn then least(
            0.0,
            hypergeometric_log_pmf(population, marked, drawn, hits)
            + ln(
                list_reduce(
                    range(
                        (least(marked, drawn) - 1)::bigint,
                        (hits - 1)::bigint,
                        -1
                    )::double[],
                    lambda total, i: 1.0
                    + total * (marked - i) * (drawn - i)
                    / ((i + 1.0) * (population - marked - drawn + i + 1.0)),
                    1.0::double
                )
            )
        )
        else ln(
            greatest(
                0.0,
                1.0
                - exp(hypergeometric_log_pmf(population, marked, drawn, hits - 1))
                * list_reduce(
                    range(
                        greatest(0, marked + drawn - population)::bigint + 1,
                        hits::bigint
                    )::double[],
                    lambda total, i: 1.0
                    + total * i * (population - marked - drawn + i)
                    / ((marked - i + 1.0) * (drawn - i + 1.0)),
                    1.0::double
                )
            )
        )
    end;

-- Wilson's 95 % interval of a share, hits among trials (Wilson 1927,
-- doi:10.1080/01621459.1927.10502953): its lower and its upper end, both in 0..1; null
-- where nothing was tried. Unlike the normal approximation it holds for 0 of n.
create or replace macro wilson_low(hits, trials) as
    case
        when hits = 0 and trials > 0 then 0.0::double
        when trials > 0 then greatest(
            0.0::double,
            (
                hits::double
                + 1.920729410347063
                - 1.9599639845400543
                * sqrt(hits::double * (trials - hits) / trials + 0.9603647051735315)
            )
            / (trials::double + 3.841458820694126)
        )
    end;

create or replace macro wilson_high(hits, trials) as
    1.0 - wilson_low(trials - hits, trials);

-- polynomial(x, ...): its value by Horner's rule; the first coefficient is of the highest
-- power: x^4, x^5 or x^8.
create or replace macro polynomial
(x, a4, a3, a2, a1, a0) as
    (((a4 * x + a3) * x + a2) * x + a1) * x + a0,
(x, a5, a4, a3, a2, a1, a0) as
    ((((a5 * x + a4) * x + a3) * x + a2) * x + a1) * x + a0,
(x, a8, a7, a6, a5, a4, a3, a2, a1, a0) as
    (((((((a8 * x + a7) * x + a6) * x + a5) * x + a4) * x + a3) * x + a2) * x + a1) * x
    + a0;

-- erfc_log(y): ln erfc(y) for y at or above zero.
create or replace macro erfc_log(y) as
    case
        when y <= 0.46875 then ln(
            1.0 - y * polynomial(
                y * y,
                1.85777706184603153e-1, 3.16112374387056560e00, 1.13864154151050156e02,
                3.77485237685302021e02, 3.20937758913846947e03
            ) / polynomial(
                y * y,
                1.0, 2.36012909523441209e01, 2.44024637934444173e02,
                1.28261652607737228e03, 2.84423683343917062e03
            )
        )
        when y <= 4.0 then - y * y + ln(
            polynomial(
                y,
                2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e00,
                6.61191906371416295e01, 2.98635138197400131e02, 8.81952221241769090e02,
                1.71204761263407058e03, 2.05107837782607147e03, 1.23033935479799725e03
            ) / polynomial(
                y,
                1.0, 1.57449261107098347e01, 1.17693950891312499e02,
                5.37181101862009858e02, 1.62138957456669019e03, 3.29079923573345963e03,
                4.36261909014324716e03, 3.43936767414372164e03, 1.23033935480374942e03
            )
        )
        else - y * y + ln(
            (
                0.56418958354775629
                - polynomial(
                    1.0 / (y * y),
                    1.63153871373020978e-2, 3.05326634961232344e-1,
                    3.60344899949804439e-1, 1.25781726111229246e-1,
                    1.60837851487422766e-2, 6.58749161529837803e-4
                ) / polynomial(
                    1.0 / (y * y),
                    1.0, 2.56852019228982242e00, 1.87295284992346725e00,
                    5.27905102951428412e-1, 6.05183413124413191e-2,
                    2.33520497626869185e-3
                ) / (y * y)
            ) / y
        )
    end;

-- normal_log_tail(z): ln P(Z >= z) of a standard normal Z, for z at or above zero; it
-- does not underflow. Rational approximations of erfc by Cody 1969,
-- doi:10.1090/S0025-5718-1969-0247736-4; relative error of P below 1e-15 in the tail.
create or replace macro normal_log_tail(z) as
    erfc_log(z / 1.4142135623730951) - 0.6931471805599453;

-- rank_auroc(rank_sum, positives, total): the Mann-Whitney U of the positives over
-- positives x others, from the sum of their mid-ranks among total examples.
create or replace macro rank_auroc(rank_sum, positives, total) as
    (rank_sum - positives::double * (positives + 1) / 2)
    / (positives::double * (total - positives));

-- rank_z(rank_sum, positives, total, tie_sum): U in standard deviations from its mean
-- under the null hypothesis, with the correction for ties: tie_sum is the sum of
-- t^3 - t over groups of t equal values. Null if all values are equal.
create or replace macro rank_z(rank_sum, positives, total, tie_sum) as
    (rank_sum - positives::double * (total + 1) / 2)
    / sqrt(
        nullif(
            positives::double * (total - positives) / 12
            * (total + 1 - tie_sum / (total::double * (total - 1))),
            0
        )
    );

-- Benjamini & Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x: the q of tests
-- that are corrected together, which is a pool (a row of what they share). It takes two
-- steps, since one window cannot stand in another:
--
--     benjamini_hochberg_step(p_value, place, pool, test_count, total) as step
--     benjamini_hochberg_q(step, place, pool) as q_value
--
-- place orders tests as p_value does (it, or its logarithm, which does not underflow);
-- test_count is how many tests a row stands for, total how many the pool has.
create or replace macro benjamini_hochberg_step(
    p_value, place, pool, test_count, total
) as
    p_value * total / sum(test_count) over (partition by pool order by place);

create or replace macro benjamini_hochberg_q(step, place, pool) as
    least(1.0, min(step) over (partition by pool order by place desc));

-- share_at_least(entries, bound): the share of a list's entries that reach a bound.
create or replace macro share_at_least(entries, bound) as
    len(list_filter(entries, lambda entry: entry >= bound)) / len(entries);

-- surrogate_p(surrogates, observed): the p of an observed figure beside those of its
-- surrogates, itself counted among them, so that it is never zero.
create or replace macro surrogate_p(surrogates, observed) as
    (1 + len(list_filter(surrogates, lambda surrogate: surrogate >= observed)))
    / (1.0::double + len(surrogates));
