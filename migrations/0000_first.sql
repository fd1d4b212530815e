CREATE TABLE `audit` (
	`tenant` text NOT NULL,
	`log` text NOT NULL,
	`sequence` integer NOT NULL,
	`hash` text NOT NULL,
	`record` text NOT NULL,
	`previous_hash` text GENERATED ALWAYS AS (json_extract(record, '$.previous_hash')) VIRTUAL,
	`time` text GENERATED ALWAYS AS (json_extract(record, '$.time')) VIRTUAL,
	`kind` text GENERATED ALWAYS AS (json_extract(record, '$.kind')) VIRTUAL,
	`request_id` text GENERATED ALWAYS AS (json_extract(record, '$.request_id')) VIRTUAL,
	`principal` text GENERATED ALWAYS AS (json_extract(record, '$.principal')) VIRTUAL,
	`owner` text GENERATED ALWAYS AS (json_extract(record, '$.owner')) VIRTUAL,
	`credential_id` text GENERATED ALWAYS AS (json_extract(record, '$.credential_id')) VIRTUAL,
	`action` text GENERATED ALWAYS AS (json_extract(record, '$.action')) VIRTUAL,
	`tier` integer GENERATED ALWAYS AS (json_extract(record, '$.tier')) VIRTUAL,
	`decision` text GENERATED ALWAYS AS (json_extract(record, '$.decision')) VIRTUAL,
	`reason_code` text GENERATED ALWAYS AS (json_extract(record, '$.reason_code')) VIRTUAL,
	`rule` text GENERATED ALWAYS AS (json_extract(record, '$.rule')) VIRTUAL,
	`facts` text GENERATED ALWAYS AS (json_extract(record, '$.facts')) VIRTUAL,
	`cost_micros` integer GENERATED ALWAYS AS (json_extract(record, '$.cost_micros')) VIRTUAL,
	`price_version` text GENERATED ALWAYS AS (json_extract(record, '$.price_version')) VIRTUAL,
	`request_digest` text GENERATED ALWAYS AS (json_extract(record, '$.request_digest')) VIRTUAL,
	`reason` text GENERATED ALWAYS AS (json_extract(record, '$.reason')) VIRTUAL,
	`evidence` text GENERATED ALWAYS AS (json_extract(record, '$.evidence')) VIRTUAL,
	`back_out` text GENERATED ALWAYS AS (json_extract(record, '$.back_out')) VIRTUAL,
	`incident` text GENERATED ALWAYS AS (json_extract(record, '$.incident')) VIRTUAL,
	`approval_id` text GENERATED ALWAYS AS (json_extract(record, '$.approval_id')) VIRTUAL,
	`approvers` text GENERATED ALWAYS AS (json_extract(record, '$.approvers')) VIRTUAL,
	`reservation` text GENERATED ALWAYS AS (json_extract(record, '$.reservation')) VIRTUAL,
	`outcome` text GENERATED ALWAYS AS (json_extract(record, '$.outcome')) VIRTUAL,
	`upstream_status` integer GENERATED ALWAYS AS (json_extract(record, '$.upstream_status')) VIRTUAL,
	`duration_ms` integer GENERATED ALWAYS AS (json_extract(record, '$.duration_ms')) VIRTUAL,
	PRIMARY KEY(`tenant`, `log`, `sequence`)
);
--> statement-breakpoint
CREATE INDEX `audit_by_time` ON `audit` (`tenant`,`time`);--> statement-breakpoint
CREATE INDEX `audit_by_request` ON `audit` (`tenant`,`request_id`);--> statement-breakpoint
CREATE TABLE `documents` (
	`digest` text PRIMARY KEY NOT NULL,
	`kind` text NOT NULL,
	`body` text NOT NULL,
	`created_at` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `issuers` (
	`issuer` text PRIMARY KEY NOT NULL,
	`tenant` text NOT NULL,
	`registration` text NOT NULL,
	`created_at` text NOT NULL,
	`mac` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `tenants` (
	`id` text PRIMARY KEY NOT NULL,
	`upstream_credential` text NOT NULL,
	`created_at` text NOT NULL,
	`mac` text NOT NULL
);
