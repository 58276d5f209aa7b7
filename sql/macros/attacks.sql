-- What attacks do. Run before the views; not views themselves.
--
-- attack_outcome(before, after, target): what an attack did to the class of an image,
-- predicted before (without it) and after (with it): 'already' the target's, 'changed'
-- to it, 'unchanged', or 'changed_away' to a third class. Null if either is unknown.
create or replace macro attack_outcome(before, after, target) as
    case
        when before is null or after is null then null
        when before = target then 'already'
        when after = target then 'changed'
        when after = before then 'unchanged'
        else 'changed_away'
    end;
