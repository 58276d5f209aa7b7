-- view:    warn_notices
-- grain:   one row per dataset and reason
-- key:     dataset, reason
-- reads:   notices
-- purpose: What was left out of examples that are used, and files passed over, counted.
--
-- column        type    unit   meaning
-- dataset, reason
-- notice_count  bigint  count  texts or files
select
    dataset, reason,
    sum(notices.notice_count)::bigint as notice_count,
from notices
group by all;
