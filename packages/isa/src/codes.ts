/** The codes of this package's diagnostics. */
export const isaCodes = {
  ISA1001: "Code is not a whole number of slots.",
  ISA1002: "The second half of lddw is missing or has more than an immediate.",
  ISA1003: "A register above 10.",
  ISA1004: "An opcode that does not exist, or a field that the opcode does not allow.",
  ISA1005: "A jump, call or function's address that names no start of an instruction.",
  ISA2001: "A character that begins no word of the notation.",
  ISA2002: "Something else was expected here.",
  ISA2003: "There is no such register.",
  ISA2004: "A number that does not fit its field.",
  ISA2005: "Operands that do not go together: widths, sizes, registers that must be equal.",
  ISA2006: "A helper's name and number that contradict each other.",
  ISA2007: "There is no such instruction or operation.",
  ISA2008: "There is no such label.",
  ISA2009: "A label that stands twice.",
} as const;
