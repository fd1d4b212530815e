ALTER TABLE `audit` ADD `leaf_hash` text;--> statement-breakpoint
ALTER TABLE `audit` ADD `deleted_at` text;--> statement-breakpoint
ALTER TABLE `evidence` ADD `named_at` text;--> statement-breakpoint
-- Nobody knows which request named these last: they count as named now.
UPDATE `evidence` SET `named_at` = strftime('%Y-%m-%dT%H:%M:%fZ', 'now');--> statement-breakpoint
CREATE INDEX `evidence_by_named` ON `evidence` (`tenant`,`named_at`);
