#!/usr/bin/env node
import "../../../scripts/skep.mjs";
