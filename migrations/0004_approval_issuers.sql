CREATE TABLE `approval_issuers` (
	`tenant` text NOT NULL,
	`issuer` text NOT NULL,
	`registration` text NOT NULL,
	`created_at` text NOT NULL,
	`mac` text NOT NULL,
	PRIMARY KEY(`tenant`, `issuer`)
);
