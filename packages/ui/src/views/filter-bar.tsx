import { type FormEvent, type KeyboardEvent, type ReactNode, type RefObject, useId, useState } from "react";
import { type Chip, chipProblem, formatChip, parseChip, sameChip } from "../model/chips.ts";
import { suggestChips } from "../model/chip-input.ts";
import { Icon } from "../parts/icon.tsx";

interface FilterBarProps {
  readonly chips: readonly Chip[];
  readonly onChange: (chips: readonly Chip[]) => void;
  /** Names that the page has seen, by field. */
  readonly known: ReadonlyMap<string, readonly string[]>;
  readonly input: RefObject<HTMLInputElement | null>;
}

/** Chips, and a field to write more: `verdict=DROPPED`, `!pod=default/web`, or a bare name. */
export function FilterBar({ chips, onChange, known, input }: FilterBarProps): ReactNode {
  const [text, setText] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [active, setActive] = useState(-1);
  const [open, setOpen] = useState(false);
  const listId = useId();
  const suggestions = open ? suggestChips(text, known) : [];
  const add = (given: string): void => {
    const chip = parseChip(given) ?? parseChip(`pod=${given}`);
    if (!chip) return;
    const wrong = chipProblem(chip);
    setProblem(wrong);
    if (wrong !== null) return;
    if (!chips.some((other) => sameChip(other, chip))) onChange([...chips, chip]);
    setText("");
    setActive(-1);
  };
  const choose = (index: number): void => {
    const suggestion = suggestions[index];
    if (!suggestion) return;
    if (suggestion.complete) add(suggestion.text);
    else setText(suggestion.text);
    setActive(-1);
    input.current?.focus();
  };
  const onSubmit = (event: FormEvent): void => {
    event.preventDefault();
    if (active >= 0) choose(active);
    else add(text);
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown") setActive((active + 1) % Math.max(1, suggestions.length));
    else if (event.key === "ArrowUp") setActive(active <= 0 ? suggestions.length - 1 : active - 1);
    else if (event.key === "Escape") {
      setOpen(false);
      setActive(-1);
      if (suggestions.length === 0) input.current?.blur();
    } else if (event.key === "Backspace" && text === "" && chips.length > 0) onChange(chips.slice(0, -1));
    else return;
    event.stopPropagation();
    if (event.key.startsWith("Arrow")) event.preventDefault();
  };
  return (
    <form className="filter-bar" role="search" aria-label="Filters" onSubmit={onSubmit}>
      <Icon name="search" />
      <ul className="chips" aria-label="Filters in force">
        {chips.map((chip) => (
          <ChipView key={formatChip(chip)} chip={chip} chips={chips} onChange={onChange} />
        ))}
      </ul>
      <div className="filter-entry">
        <input
          ref={input}
          value={text}
          placeholder={chips.length === 0 ? "Filter: verdict=DROPPED, from-pod=…, !port=53" : "Add a filter"}
          aria-label="Add a filter"
          role="combobox"
          aria-expanded={suggestions.length > 0}
          aria-controls={listId}
          aria-autocomplete="list"
          {...(active >= 0 ? { "aria-activedescendant": `${listId}-${active}` } : {})}
          aria-invalid={problem !== null}
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => {
            setText(event.target.value);
            setProblem(null);
            setActive(-1);
            setOpen(true);
          }}
          onFocus={() => setOpen(true)}
          onBlur={() => setOpen(false)}
          onKeyDown={onKey}
        />
        <ul
          id={listId}
          role="listbox"
          aria-label="Filters to add"
          className="suggestions"
          hidden={suggestions.length === 0}
        >
          {suggestions.map((suggestion, index) => (
            <li
              key={suggestion.text}
              id={`${listId}-${index}`}
              role="option"
              aria-selected={index === active}
              className={index === active ? "active" : ""}
              // Before the field loses the focus, which closes the list.
              onMouseDown={(event) => {
                event.preventDefault();
                choose(index);
              }}
            >
              <code>{suggestion.text}</code> <span className="quiet">{suggestion.help}</span>
            </li>
          ))}
        </ul>
      </div>
      {problem === null ? null : (
        <p className="filter-problem" role="alert">
          {problem}
        </p>
      )}
      {chips.length > 0 ? (
        <button type="button" className="quiet-button" onClick={() => onChange([])}>
          Clear
        </button>
      ) : null}
    </form>
  );
}

interface ChipViewProps extends Pick<FilterBarProps, "chips" | "onChange"> {
  readonly chip: Chip;
}

function ChipView({ chip, chips, onChange }: ChipViewProps): ReactNode {
  const others = chips.filter((other) => !sameChip(other, chip));
  const turned = chips.map((other) => (sameChip(other, chip) ? { ...chip, not: !chip.not } : other));
  return (
    <li className={`chip${chip.not ? " not" : ""}`}>
      <button
        type="button"
        className="chip-text"
        title="Turn it: leave out, or only these"
        onClick={() => onChange(turned)}
      >
        {chip.not ? "not " : ""}
        <span className="chip-field">{chip.field}</span> {chip.value}
      </button>
      <button type="button" aria-label={`Remove ${formatChip(chip)}`} onClick={() => onChange(others)}>
        <Icon name="close" size={12} />
      </button>
    </li>
  );
}
