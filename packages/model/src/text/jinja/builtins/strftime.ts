import { LimitError } from '../failures.js';

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const months = 'January February March April May June July August September October November December'.split(' ');

/** `datetime.strftime` of a local time, in the C locale. */
export function strftime(date: Date, format: string): string {
  return format.replace(/%([-_0^#]?)([\s\S]|$)/gu, (_, flag: string, code: string) => {
    const part = partOf(date, code);
    if (flag === '') return part;
    if (flag === '^') return part.toUpperCase();
    if (flag === '#') throw new LimitError(`the format %#${code} of a date`);
    const digits = /^[ 0]*(\d+)$/.exec(part)?.[1];
    if (digits === undefined) return part;
    const bare = String(Number(digits));
    return flag === '-' ? bare : bare.padStart(part.length, flag === '_' ? ' ' : '0');
  });
}

const pad = (value: number, size = 2, fill = '0'): string => String(value).padStart(size, fill);

function partOf(date: Date, code: string): string {
  const hour12 = date.getHours() % 12 === 0 ? 12 : date.getHours() % 12;
  switch (code) {
    case 'a':
      return days[date.getDay()]!.slice(0, 3);
    case 'A':
      return days[date.getDay()]!;
    case 'b':
    case 'h':
      return months[date.getMonth()]!.slice(0, 3);
    case 'B':
      return months[date.getMonth()]!;
    case 'c':
      return strftime(date, '%a %b %e %H:%M:%S %Y');
    case 'C':
      return pad(Math.floor(date.getFullYear() / 100));
    case 'd':
      return pad(date.getDate());
    case 'D':
    case 'x':
      return strftime(date, '%m/%d/%y');
    case 'e':
      return pad(date.getDate(), 2, ' ');
    case 'f':
      return pad(date.getMilliseconds() * 1000, 6);
    case 'F':
      return strftime(date, '%Y-%m-%d');
    case 'g':
      return pad(isoWeek(date).year % 100);
    case 'G':
      return String(isoWeek(date).year);
    case 'H':
      return pad(date.getHours());
    case 'I':
      return pad(hour12);
    case 'j':
      return pad(dayOfYear(date) + 1, 3);
    case 'k':
      return pad(date.getHours(), 2, ' ');
    case 'l':
      return pad(hour12, 2, ' ');
    case 'm':
      return pad(date.getMonth() + 1);
    case 'M':
      return pad(date.getMinutes());
    case 'n':
      return '\n';
    case 'p':
      return date.getHours() < 12 ? 'AM' : 'PM';
    case 'P':
      return date.getHours() < 12 ? 'am' : 'pm';
    case 'r':
      return strftime(date, '%I:%M:%S %p');
    case 'R':
      return strftime(date, '%H:%M');
    case 's':
      return String(Math.floor(date.getTime() / 1000));
    case 'S':
      return pad(date.getSeconds());
    case 't':
      return '\t';
    case 'T':
    case 'X':
      return strftime(date, '%H:%M:%S');
    case 'u':
      return String(date.getDay() === 0 ? 7 : date.getDay());
    case 'U':
      return pad(Math.floor((dayOfYear(date) + 7 - date.getDay()) / 7));
    case 'V':
      return pad(isoWeek(date).week);
    case 'w':
      return String(date.getDay());
    case 'W':
      return pad(Math.floor((dayOfYear(date) + 7 - ((date.getDay() + 6) % 7)) / 7));
    case 'y':
      return pad(date.getFullYear() % 100);
    case 'Y':
      return String(date.getFullYear());
    case 'z':
    case 'Z':
      return ''; // datetime.now() has no time zone
    case '%':
      return '%';
    default:
      throw new LimitError(`the format %${code} of a date`);
  }
}

const dayNumber = (year: number, month: number, day: number): number => Date.UTC(year, month, day) / 86_400_000;

const dayOfYear = (date: Date): number =>
  dayNumber(date.getFullYear(), date.getMonth(), date.getDate()) - dayNumber(date.getFullYear(), 0, 1);

/** ISO 8601: the week belongs to the year of its Thursday. */
function isoWeek(date: Date): { year: number; week: number } {
  const weekday = (date.getDay() + 6) % 7;
  const thursday = new Date(Date.UTC(date.getFullYear(), date.getMonth(), date.getDate() - weekday + 3));
  const year = thursday.getUTCFullYear();
  return { year, week: Math.floor((thursday.getTime() / 86_400_000 - dayNumber(year, 0, 1)) / 7) + 1 };
}
