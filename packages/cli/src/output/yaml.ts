/**
 * @module
 * The writer of YAML, read when it is asked for: a module of our own, since of a package in the older format that is imported by a call a bundle
 * has no names but `default`.
 */
export { stringify } from "yaml";
