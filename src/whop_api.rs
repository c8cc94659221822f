#![doc = include_str!("whop-api.md")]
