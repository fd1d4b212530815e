CREATE TABLE `channels` (
	`tenant` text NOT NULL,
	`name` text NOT NULL,
	`address` text NOT NULL,
	`sealed` text NOT NULL,
	`created_at` text NOT NULL,
	`mac` text NOT NULL,
	PRIMARY KEY(`tenant`, `name`)
);
--> statement-breakpoint
CREATE INDEX `channels_by_address` ON `channels` (`name`,`address`);