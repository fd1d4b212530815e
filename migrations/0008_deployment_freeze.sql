CREATE TABLE `deployment_freeze` (
	`only` integer PRIMARY KEY NOT NULL,
	`generation` integer NOT NULL,
	`frozen` integer NOT NULL,
	`reason` text NOT NULL,
	`since` integer NOT NULL
);
