CREATE TABLE `late_copies` (
	`tenant` text NOT NULL,
	`log` text NOT NULL,
	`records` integer NOT NULL,
	`since` integer NOT NULL,
	PRIMARY KEY(`tenant`, `log`)
);
