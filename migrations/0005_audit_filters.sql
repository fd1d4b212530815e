DROP INDEX `audit_by_time`;--> statement-breakpoint
ALTER TABLE `audit` ADD `has_text` integer GENERATED ALWAYS AS (coalesce(json_extract(record, '$.reason'), json_extract(record, '$.evidence'), json_extract(record, '$.detail')) IS NOT NULL) VIRTUAL;--> statement-breakpoint
ALTER TABLE `audit` ADD `approver_count` integer GENERATED ALWAYS AS (coalesce(json_array_length(record, '$.approvers'), 0)) VIRTUAL;--> statement-breakpoint
CREATE INDEX `audit_by_approval` ON `audit` (`tenant`,`approval_id`,`time`,`log`,`sequence`) WHERE approval_id IS NOT NULL;--> statement-breakpoint
CREATE INDEX `audit_by_incident` ON `audit` (`tenant`,`incident`,`time`,`log`,`sequence`) WHERE incident IS NOT NULL;--> statement-breakpoint
CREATE INDEX `audit_by_rare_kind` ON `audit` (`tenant`,`kind`,`time`,`log`,`sequence`) WHERE kind IN ('admin', 'break-glass', 'decision', 'proposal', 'settlement', 'unknown');--> statement-breakpoint
CREATE INDEX `audit_by_time` ON `audit` (`tenant`,`time`,`log`,`sequence`,`kind`,`decision`,`tier`,`action`,`principal`,`credential_id`,`owner`,`reason_code`,`outcome`,`has_text`,`approver_count`);