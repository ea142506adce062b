export const text = {
  countWords(text) {
    const words = text.split(/\s+/).filter((word) => word);
    const longest = words.reduce((a, b) => (b.length > (a ?? '').length ? b : a), undefined);
    return { words: words.length, longest };
  },
  firstLetter(text) {
    const found = (pattern) => text.match(pattern)[0];
    return found(/[a-z]/i);
  },
  shout(text, ref) {
    if (!text) throw 'nothing to shout';
    return text.toUpperCase() + (ref ? '!' : '');
  },
};
