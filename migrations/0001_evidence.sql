CREATE TABLE `evidence` (
	`tenant` text NOT NULL,
	`digest` text NOT NULL,
	`body` text NOT NULL,
	`created_by` text NOT NULL,
	`created_at` text NOT NULL,
	PRIMARY KEY(`tenant`, `digest`)
);
